-- planning.lua: what planning a step costs: prints the time of its first call beyond that of a
-- later one, in ms of the processor, for a graph of about `nodes` nodes. For planning.py.
--
--   unrolled   one cell of a recurrent net, step after step
--   deep       layers, each with weights of its own
--   widths     the same, of many different widths
--   wide       one product for each of many parameters, summed up
--   nets       many small nets side by side
--   shared     one value that all others read

local args = args { shape = "unrolled", nodes = 20000 }

local width, batch = 4, 2
local trained = {}

local function parameter(...)
  trained[#trained + 1] = tensor.variable(0.1 * tensor.randn(...))
  return trained[#trained]
end

local function dense(inputs, units)
  local w, b = parameter(inputs, units), parameter(units)
  return function(x) return (x:matmul(w) + b):tanh() end
end

local function chain(layers)
  return function(x)
    for _, layer in ipairs(layers) do x = layer(x) end
    return x:square():mean()
  end
end

-- Pair by pair, so that no sum waits for all others.
local function sum_of(values)
  while #values > 1 do
    local sums = {}
    for i = 1, #values, 2 do
      sums[#sums + 1] = values[i + 1] and values[i] + values[i + 1] or values[i]
    end
    values = sums
  end
  return values[1]
end

local function each(n, make)
  local list = {}
  for i = 1, n do list[i] = make(i) end
  return list
end

-- The function of a step, for so many nodes of its graph with gradients and updates.
local shapes = {}

function shapes.unrolled(nodes)
  local w, u, b = parameter(width, width), parameter(width, width), parameter(width)
  return function(x)
    local h = x
    for _ = 1, nodes // 16 do h = (x:matmul(u) + h:matmul(w) + b):tanh() end
    return h:square():mean()
  end
end

function shapes.deep(nodes)
  return chain(each(nodes // 24, function() return dense(width, width) end))
end

function shapes.widths(nodes)
  local function units(i) return i == 0 and width or 2 + i * 7 % 23 end
  return chain(each(nodes // 24, function(i) return dense(units(i - 1), units(i)) end))
end

function shapes.wide(nodes)
  local scales = each(nodes // 14, function() return parameter(width) end)
  return function(x)
    return sum_of(each(#scales, function(i) return (x * scales[i]):sum() end))
  end
end

function shapes.nets(nodes)
  local nets = each(nodes // 57, function()
    return chain { dense(width, width), dense(width, width) }
  end)
  return function(x) return sum_of(each(#nets, function(i) return nets[i](x) end)) end
end

function shapes.shared(nodes)
  local w = parameter(width, width)
  return function(x)
    local h = x:matmul(w)
    return sum_of(each(nodes // 13, function(i) return (h * i):tanh():sum() end))
  end
end

local loss_of = shapes[args.shape](args.nodes)
local step = train.step(loss_of, trained, optim.Adam { lr = 0.001 })
local x = tensor.randn(batch, width):eval()

local function took()
  local begin = os.clock()
  step(x)
  return 1e3 * (os.clock() - begin)
end

local first = took()
local later = each(5, took)
table.sort(later)
print(("%.3f"):format(first - later[3]))
