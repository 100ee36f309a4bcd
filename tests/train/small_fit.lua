-- small_fit.lua: a regression of 20 rows and a net of two layers, for tests of what happens
-- around the steps of a fit.

local small = {}

local x = tensor.randn(20, 3):eval()
small.set = data.set(x, x:matmul(tensor { { 1, 0 }, { -2, 1 }, { 0, 3 } }):eval())

-- The same weights at each call.
function small.net_of(norm)
  tensor.seed(4)
  local net = nn.Sequential { nn.Dense(5, { activation = "tanh" }), nn.norm(norm or "none"),
    nn.Dense(2) }
  return net:build { 3 }
end

function small.values_of(net)
  local all = {}
  for name, t in pairs(net:state()) do all[name] = t:totable() end
  return all
end

-- Four steps an epoch, in the order of the rows.
function small.fit(net, options)
  options.loss, options.verbose, options.shuffle = "mse", false, "none"
  options.batch_size, options.epochs = 5, options.epochs or 3
  options.optimizer = options.optimizer or optim.SGD { lr = 0.1, momentum = 0.9 }
  return train.fit(net, small.set, options)
end

return small
