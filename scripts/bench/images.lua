-- images.lua: runner's side of images.py: "ready -", "make ID NET", "run ID COUNT", "drop ID" on
-- stdin, each answered with a line that begins with "ok" or "no".

local nets = {
  lenet = function()
    return nn.Sequential {
      nn.Conv2D(32, 5, { padding = 2, activation = "relu" }), nn.MaxPool2D(2),
      nn.Conv2D(64, 5, { padding = 2, activation = "relu" }), nn.MaxPool2D(2), nn.Flatten(),
      nn.Dense(1024, { activation = "relu" }), nn.Dense(10) }, optim.Adam { lr = 1e-4 }, 64
  end,
  lenet5 = function()
    return nn.Sequential {
      nn.Conv2D(6, 5, { padding = 2, activation = "relu" }), nn.MaxPool2D(2),
      nn.Conv2D(16, 5, { activation = "relu" }), nn.MaxPool2D(2), nn.Flatten(),
      nn.Dense(120, { activation = "relu" }), nn.Dense(84, { activation = "relu" }),
      nn.Dense(10) }, optim.SGD { lr = 1e-4, momentum = 0.9 }, 128
  end,
}

local steps, orders = {}, {}

function orders.ready() return "" end

function orders.make(id, name)
  local net, optimizer, batch = nets[name]()
  local x = tensor.randn(batch, 1, 28, 28):eval()
  local y = tensor.randint(1, 10, batch):eval()
  local call = train.step(function(a, b) return loss.sparse_categorical_crossentropy(net(a), b) end,
    net, optimizer)
  steps[id] = { call = call, x = x, y = y }
  call(x, y)
end

function orders.run(id, count)
  local s, last = steps[id], nil
  for _ = 1, tonumber(count) do last = s.call(s.x, s.y) end
  return ("loss %.6g"):format(last)
end

function orders.drop(id)
  steps[id] = nil
  collectgarbage()
  collectgarbage()
end

for line in io.lines() do
  local order, id, more = line:match "^(%S+) (%S+) ?(%S*)$"
  local ok, text = pcall(function() return orders[order](id, more) end)
  io.stdout:write(ok and "ok " or "no ", (tostring(text or ""):gsub("%s+", " ")), "\n")
  io.stdout:flush()
end
