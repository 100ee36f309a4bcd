-- evaluate.lua: net:evaluate for evaluate.py. Reads orders from stdin, one per line, and answers
-- each with one line that begins with "ok" or "no":
--
--   make ID width=W blocks=B rows=R batch=N   a net of B blocks of Dense, BatchNorm and tanh,
--                                             and R rows
--   run ID COUNT                              evaluates COUNT times; the loss, all its digits
--   drop ID

local nets = {}

local function numbers_of(text)
  local found = {}
  for key, value in text:gmatch "(%w+)=(%d+)" do found[key] = tonumber(value) end
  return found
end

local orders = {}

function orders.make(id, text)
  local spec = numbers_of(text)
  local net = nn.Sequential {}
  for _ = 1, spec.blocks do
    net:add(nn.Dense(spec.width))
    net:add(nn.BatchNorm())
    net:add(nn.activation "tanh")
  end
  net:add(nn.Dense(10))
  net:build { spec.width }
  local set = data.set(tensor.randn(spec.rows, spec.width):eval(),
    tensor.randint(1, 10, spec.rows):eval())
  nets[id] = { net = net, set = set, options = {
    loss = "sparse_categorical_crossentropy", metrics = { "accuracy" },
    batch_size = spec.batch } }
end

function orders.run(id, count)
  local it, measured = nets[id], nil
  for _ = 1, tonumber(count) do measured = it.net:evaluate(it.set, it.options) end
  return ("%.17g %.17g"):format(measured.loss, measured.accuracy)
end

function orders.drop(id)
  nets[id] = nil
  collectgarbage()
  collectgarbage()
end

for line in io.lines() do
  local order, id, rest = line:match "^(%S+) (%S+) ?(.*)$"
  local ok, text = pcall(function() return orders[order](id, rest) end)
  io.stdout:write(ok and "ok " or "no ", (tostring(text or ""):gsub("%s+", " ")), "\n")
  io.stdout:flush()
end
