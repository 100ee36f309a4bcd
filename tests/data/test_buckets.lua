-- set:buckets: batches of like lengths, cut to the steps that they need, on either side.
local check = dofile "tests/check.lua"
local tests = {}

-- Rows of 1 to 12 letters; sorted: by their lengths.
local function lines(options, sorted)
  local list = {}
  for i = 1, 60 do
    local n = sorted and (i + 4) // 5 or 1 + i * 7 % 12
    list[i] = ("abcdefghijklmnop"):sub(i % 4 + 1, i % 4 + n)
  end
  return data.lines(check.file("b.txt", table.concat(list, "\n")), options)
end

function tests.test_each_row_comes_once_and_whole()
  for _, padding in ipairs { "right", "left" } do
    local set = lines { padding = padding, predict = "each" }
    local seen, widths, n = {}, {}, 0
    for x, y, _, mask in set:buckets(3):batches(8) do
      check.equal({ y.shape, mask.shape }, { x.shape, x.shape })
      widths[x.shape[2]] = true
      local texts = set.vocabulary:decode(x)
      for i, text in ipairs(set.vocabulary:decode(y)) do
        check.equal(text, texts[i])
        seen[#seen + 1] = text
      end
      check.near(mask, x:gt(0))
      n = n + 1
    end
    local all = set.vocabulary:decode(set:tensors())
    table.sort(all)
    table.sort(seen)
    check.equal({ seen, n }, { all, 8 })
    check.equal(widths, { [5] = true, [9] = true, [13] = true })
  end
end

function tests.test_orders()
  local set = lines():buckets(4)
  local function order(options)
    local out = {}
    for x in set:batches(7, options) do
      out[#out + 1] = table.concat(set.vocabulary:decode(x), " ")
    end
    return out
  end
  check.equal(order { shuffle = "once", seed = 3 }, order { shuffle = "once", seed = 3 })
  check.yes(not pcall(check.equal, order(), order()))
  local short = order { shuffle = false }
  check.yes(#short[1] < #short[3] and #short[3] < #short[8])
  for x in set:batches(60, { training = false }) do check.equal(x.shape, { 60, 12 }) end
  check.equal((set:tensors()).shape, { 60, 12 })
  check.equal(#set:take(9), 9)
  for x in set:take(1):batches(4) do check.equal(x.shape[1], 1) end
end

-- Rows in the order of their lengths are the same batches with and without buckets.
function tests.test_what_is_learned_is_the_same()
  local weights = {}
  for i, padding in ipairs { "right", "left" } do
    for k, cut in ipairs { false, true } do
      tensor.seed(1)
      local set = lines({ padding = padding, predict = "each", unknown = false }, true)
      local net = nn.Sequential { nn.Embedding(set.classes, 6, { mask_zero = true }),
        nn.LSTM(8, { return_sequences = true }), nn.Dense(set.classes) }
      train.fit(net, cut and set:buckets(4) or set, { loss = "cross_entropy", epochs = 3,
        batch_size = 5, shuffle = false, optimizer = optim.SGD { lr = 0.5 }, verbose = false })
      weights[2 * i + k] = net:state()["dense_1.weight"]
    end
  end
  check.near(weights[4], weights[3], 1e-4)
  check.near(weights[5], weights[3], 1e-4)
  check.near(weights[6], weights[3], 1e-4)
end

-- A copy of the rows has the buckets of what it was made of.
function tests.test_copies_keep_them()
  local function widths(set)
    local seen = {}
    for x in set:batches(8) do seen[x.shape[2]] = true end
    return seen
  end
  local set, whole = lines():buckets(3), lines()
  check.equal(widths(set), { [4] = true, [8] = true, [12] = true })
  for _, copy in ipairs { set:cache(), set:map(function(x) return x end), set:concat(whole) } do
    check.equal(widths(copy), widths(set))
  end
  check.equal(widths(whole:concat(set)), { [12] = true })
end

function tests.test_hidden_tokens_and_what_is_refused()
  local set = lines():mask_tokens():buckets(3)
  for x, y, weight, mask in set:batches(10) do
    check.equal({ y.shape, weight.shape, mask.shape }, { x.shape, x.shape, x.shape })
    check.yes(weight:sum(2):min():item() >= 1)
  end
  check.fails(function() data.moons():buckets() end, "no mask")
  check.fails(function() lines():buckets(0) end, '"n"', "from 1")
end

check.run(tests)
