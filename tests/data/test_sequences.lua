-- Drawn tasks over sequences: each row is what its task says, follows from the seed and its own
-- number alone, and differs in length only where that was asked for.
local check = dofile "tests/check.lua"
local tests = {}

local kinds = { "adding_problem", "copying_memory", "temporal_order", "parity", "copy_symbols" }

local function rows(set)
  local out = {}
  for i, t in ipairs { set:tensors() } do out[i] = t:totable() end
  return out
end

function tests.test_they_repeat_and_a_row_is_its_own()
  for _, name in ipairs(kinds) do
    local all, few = rows(data[name] { n = 40, seed = 3 }), rows(data[name] { n = 7, seed = 3 })
    check.equal(rows(data[name] { n = 40, seed = 3 }), all)
    for i = 1, 7 do
      check.equal(all[1][i], few[1][i])
      check.equal(all[2][i], few[2][i])
    end
    tensor.seed(3)
    check.equal(rows(data[name] { n = 40 }), all)
    tensor.seed(1)
    local x, other = tensor(all[1]), data[name] { n = 40, seed = 4 }:tensors()
    check.yes((x - other):abs():max():item() > 0, name)
  end
end

function tests.test_adding()
  local set = data.adding_problem { n = 3000, length = 11 }
  local x, y = set:tensors()
  check.equal({ x.shape, y.shape, set.classes }, { { 3000, 11, 2 }, { 3000, 1 }, nil })
  local value, mark = x:slice({}, {}, { 1, 1 }), x:slice({}, {}, { 2, 2 })
  check.near((value * mark):sum(2), y)
  check.near(mark:slice({}, { 1, 5 }):sum(2):min():item(), 1)
  check.near(mark:slice({}, { 6, 11 }):sum(2):max():item(), 1)
  check.yes(mark:sum(1):min():item() > 300) -- every step is marked, alike in its half
  check.near({ value:mean():item(), ((y - 1) * (y - 1)):mean():item() }, { 0.5, 1 / 6 }, 0.01)
end

function tests.test_copying_memory()
  local set = data.copying_memory { n = 50, length = 3, delay = 4, symbols = 5 }
  local x, y = set:tensors()
  check.equal({ x.shape, set.classes }, { { 50, 10 }, 6 })
  for i, row in ipairs(x:totable()) do
    local answer = y:totable()[i]
    for k = 1, 10 do
      local remembered = row[k - 7] or 0
      check.equal(answer[k], k <= 7 and 6 or remembered)
      if k > 3 then check.equal(row[k], k == 7 and 7.0 or 6.0) end
    end
    check.yes(math.max(row[1], row[2], row[3]) <= 5 and math.min(row[1], row[2], row[3]) >= 1)
  end
  local hot = data.copying_memory { n = 50, length = 3, delay = 4, symbols = 5,
    encoding = "onehot" }
  check.equal(hot.features, { 10, 7 })
  check.near(hot:tensors(), x:one_hot(7))
end

function tests.test_temporal_order()
  local set = data.temporal_order { n = 4000, length = 30 }
  check.equal(set.class_names, { "AA", "AB", "BA", "BB" })
  local x, y = set:tensors()
  local marked = x:lt(3)
  check.near(marked:sum(2), tensor.full(2, 4000))
  check.near(marked:slice({}, { 4, 6 }):sum(2), tensor.ones(4000))
  check.near(marked:slice({}, { 13, 15 }):sum(2), tensor.ones(4000))
  for i = 1, 20 do
    local name = ""
    for _, symbol in ipairs(x[i]:totable()) do
      if symbol <= 2 then name = name .. (symbol == 1 and "A" or "B") end
    end
    check.equal(set.class_names[y[i]:item()], name)
  end
  for class = 1, 4 do check.yes(math.abs(#set:only { class } - 1000) < 150) end
end

function tests.test_parity()
  local set = data.parity { n = 300, length = 7, shortest = 2 }
  local each = data.parity { n = 300, length = 7, shortest = 2, each = true }
  local x, y, _, mask = set:tensors()
  local _, so_far = each:tensors()
  check.equal(set.class_names, { "even", "odd" })
  check.near(each:tensors(), x)
  local lengths = {}
  for i, row in ipairs(x:totable()) do
    local ones, n = 0, 0
    for k, bit in ipairs(row) do
      local counts = mask[i][k]:item() == 1
      check.equal(counts, bit > 0)
      if counts then
        n, ones = n + 1, ones + bit - 1
        check.near(so_far[i][k], { 1 + ones % 2 })
      end
    end
    lengths[n] = true
    check.near(y[i], { 1 + ones % 2 })
  end
  check.equal(lengths, { nil, true, true, true, true, true, true })
end

function tests.test_copy_symbols()
  local set = data.copy_symbols { n = 30, length = 4, symbols = 6 }
  local x, y, weight = set:tensors()
  check.equal({ x.shape, y.shape, set.classes }, { { 30, 8 }, { 30, 8 }, 7 })
  check.near(weight[1], { 0, 0, 0, 0, 1, 1, 1, 1 })
  check.near(y:slice({}, { 1, 7 }), x:slice({}, { 2, 8 })) -- the next symbol
  check.near(y:slice({}, { 5, 8 }), x:slice({}, { 1, 4 }))
  check.near(x:slice({}, { 5, 5 }), tensor.full(7, 30, 1))
  local a, b, answer = data.copy_symbols { n = 30, length = 4, symbols = 6,
    decoder = true }:tensors()
  check.near(a, x:slice({}, { 1, 4 }))
  check.near(b, x:slice({}, { 5, 8 }))
  check.near(answer, a)
end

function tests.test_many_symbols_and_lengths()
  local set = data.copy_symbols { n = 2, length = 200, symbols = 400 }
  check.yes(set:tensors():max():item() > 255)
  local x, y, _, mask = data.adding_problem { n = 200, length = 6, shortest = 2 }:tensors()
  check.near((x:slice({}, {}, { 1, 1 }) * x:slice({}, {}, { 2, 2 })):sum(2), y)
  check.near(x:slice({}, {}, { 2, 2 }):sum { 2, 3 }, tensor.full(2, 200))
  check.near((x:slice({}, {}, { 1, 1 }):reshape(200, 6) * (1 - mask)):sum():item(), 0)
  check.equal({ mask:sum(2):min():item(), mask:sum(2):max():item() }, { 2.0, 6.0 })
  check.equal(data.mnist1d { n = 50, sequence = true }.train.features, { 40, 1 })
  local long = data.mnist1d { n = 50, sequence = true, permute = true }.test:tensors()
  check.near(long, (data.mnist1d { n = 50, permute = true }.test:tensors()))
end

function tests.test_they_refuse()
  check.fails(function() data.adding_problem { length = 1 } end, '"length"', "got 1", "from 2")
  check.fails(function() data.parity { length = 5, shortest = 6 } end, '"shortest"', "got 6",
    "1 to", "5")
  check.fails(function() data.temporal_order { shortest = 9 } end, '"shortest"', "got 9", "10 to")
  check.fails(function() data.parity { lenght = 5 } end, 'did you mean "length"')
  check.fails(function()
    return #data.copying_memory { n = 1e9, delay = 1e6, encoding = "onehot", symbols = 1e5 }
  end, "memory")
end

check.run(tests)
