-- ours.lua: runner's side of the bench. Reads orders from stdin, one per line, and answers
-- each with one line that begins with "ok" or "no":
--
--   ready -                 nothing
--   make ID key=value ...   a net, its optimizer and a step on fixed random data
--   run ID COUNT            COUNT training steps
--   scale ID FACTOR         the loss, and so every gradient, is from now on times FACTOR
--   drop ID
--
-- The keys are those of Row in compare.py, or of NETS in sequences.py and images.py: net=NAME is
-- one of `nets`.
-- static=true asks for a step that is traced once.

local steps = {}        -- ID -> { call = function, factor = tensor }

local function words_of(text)
  local words = {}
  for word in text:gmatch "%S+" do words[#words + 1] = word end
  return words
end

local function parse(words, first)
  local spec = {}
  for i = first, #words do
    local key, value = words[i]:match "^(%w+)=(.*)$"
    spec[key] = value
  end
  return spec
end

local functions = { lua_swish = function(x) return x * x:sigmoid() end }

local nets = {
  lstm = { { 28, 28 }, function() return nn.Sequential { nn.LSTM(128), nn.Dense(10) } end },
  gru = { { 28, 28 }, function() return nn.Sequential { nn.GRU(128), nn.Dense(10) } end },
  transformer = { { 32, 64 }, function()
    return nn.Sequential { nn.TransformerEncoder(4, 128, { layers = 2 }), nn.Flatten(),
      nn.Dense(10) }
  end },
  lenet = { { 1, 28, 28 }, function()
    return nn.Sequential {
      nn.Conv2D(32, 5, { padding = 2, activation = "relu" }), nn.MaxPool2D(2),
      nn.Conv2D(64, 5, { padding = 2, activation = "relu" }), nn.MaxPool2D(2), nn.Flatten(),
      nn.Dense(1024, { activation = "relu" }), nn.Dense(10) }
  end },
  lenet5 = { { 1, 28, 28 }, function()
    return nn.Sequential {
      nn.Conv2D(6, 5, { padding = 2, activation = "relu" }), nn.MaxPool2D(2),
      nn.Conv2D(16, 5, { activation = "relu" }), nn.MaxPool2D(2), nn.Flatten(),
      nn.Dense(120, { activation = "relu" }), nn.Dense(84, { activation = "relu" }),
      nn.Dense(10) }
  end },
}

-- The net and the shape of one example.
local function make_net(spec)
  if spec.net then
    local shape, make = table.unpack(nets[spec.net])
    return make():build(shape), shape
  end
  local net = nn.Sequential {}
  local plain = spec.norm == "none"
  for units in spec.hidden:gmatch "%d+" do
    net:add(nn.Dense(tonumber(units), { init = spec.init, bias = plain }))
    if not plain then net:add(nn.norm(spec.norm)) end
    net:add(nn.activation(functions[spec.activation] or spec.activation))
  end
  net:add(nn.Dense(tonumber(spec.classes)))
  local shape = { tonumber(spec.inputs) }
  return net:build(shape), shape
end

local function scalar(value) return tensor.full(value):eval() end

local optimizers = {
  sgd = function(lr) return optim.SGD { lr = lr } end,
  momentum = function(lr) return optim.SGD { lr = lr, momentum = 0.9 } end,
  adam = function(lr) return optim.Adam { lr = lr } end,
}

local function make(words)
  local spec = parse(words, 3)
  local batch = tonumber(spec.batch)
  local net, shape = make_net(spec)
  local x = tensor.randn(batch, table.unpack(shape)):eval()
  local y = tensor.randint(1, tonumber(spec.classes), batch):eval()
  local function error_of(a, b) return loss.sparse_categorical_crossentropy(net(a), b) end
  local function scaled_error_of(a, b, factor) return factor * error_of(a, b) end
  local scaled = spec.scaled == "true"
  local options = spec.static == "true" and { static = true } or nil
  local step = train.step(scaled and scaled_error_of or error_of, net,
    optimizers[spec.optimizer](tonumber(spec.lr)), options)
  steps[words[2]] = { call = step, x = x, y = y, factor = scaled and scalar(1) or nil }
  step(x, y, steps[words[2]].factor)
end

local orders = { make = make }

function orders.ready() return "" end

function orders.run(words)
  local s = steps[words[2]]
  local call, x, y, factor = s.call, s.x, s.y, s.factor
  local last
  for _ = 1, tonumber(words[3]) do last = call(x, y, factor) end
  return ("loss %.6g"):format(last)
end

function orders.scale(words)
  steps[words[2]].factor = scalar(tonumber(words[3]))
end

function orders.drop(words)
  steps[words[2]] = nil
  collectgarbage()
  collectgarbage()
end

for line in io.lines() do
  local words = words_of(line)
  local ok, text = pcall(function() return orders[words[1]](words) end)
  io.stdout:write(ok and "ok " or "no ", (tostring(text or ""):gsub("%s+", " ")), "\n")
  io.stdout:flush()
end
