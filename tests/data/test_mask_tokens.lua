-- set:mask_tokens: which tokens are hidden, how, and that only these count.
local check = dofile "tests/check.lua"
local tests = {}

-- Rows of 20 tokens of 1 to 50, and a padded one of 3.
local function rows(n, side)
  local lines = {}
  for i = 1, n do
    local words = {}
    for k = 1, i == n and 3 or 20 do words[k] = ("w%02d"):format((7 * i + k * k) % 50) end
    lines[i] = table.concat(words, " ")
  end
  return data.lines(check.file("rows.txt", table.concat(lines, "\n")),
    { by = "words", unknown = false, padding = side or "right" })
end

local function first(set, options)
  for x, y, weight, mask in set:batches(#set, options) do return x, y, weight, mask end
end

function tests.test_shares()
  local set = rows(2000):mask_tokens()
  local n = #set.vocabulary
  check.equal({ set.vocabulary[n], set.classes, set.class_names[n] }, { "<mask>", n, "<mask>" })
  local x, y, weight, mask = first(set, { shuffle = false })
  local chosen = weight:sum():item() / mask:sum():item()
  check.near(chosen, 0.15 + 0.85 ^ 20 / 20, 0.01)
  check.near((weight * (1 - mask)):sum():item(), 0)
  check.near(weight:sum(2):min():item(), 1)
  local was = x:eq(y:cast "real")
  check.near(((1 - was) * (1 - weight)):sum():item(), 0) -- what is not chosen stays
  local hidden = x:eq(n)
  check.near((hidden * weight):sum():item() / weight:sum():item(), 0.8, 0.02)
  check.near((was * weight):sum():item() / weight:sum():item(), 0.1 + 0.1 / (n - 1), 0.02)
  check.yes((x + n * (1 - weight)):min():item() >= 1) -- nothing becomes padding
  check.near(y, (rows(2000):tensors()))
end

function tests.test_epochs_differ_and_evaluations_do_not()
  local set = rows(30):mask_tokens { share = 0.3, seed = 4 }
  local function weights(options) return select(3, first(set, options)):totable() end
  local once = weights { seed = 1, shuffle = false }
  check.yes(not pcall(check.equal, weights { seed = 1, shuffle = false }, once))
  local still = weights { training = false, shuffle = false }
  check.equal(weights { training = false, shuffle = false }, still)
  check.equal(select(3, set:tensors()):totable(), still)
  check.equal(select(3, rows(30):mask_tokens { share = 0.3, seed = 4 }:tensors()):totable(), still)
  check.yes(not pcall(check.equal, select(3, rows(30):mask_tokens { share = 0.3,
    seed = 5 }:tensors()):totable(), still))
end

-- The same in batches of any size, in any order, in parts of the set, on either side.
function tests.test_a_row_hides_its_own_tokens()
  local set = rows(30):mask_tokens { share = 0.3, seed = 4 }
  local x, _, weight = set:tensors()
  local at = 1
  for bx, _, bw in set:batches(7, { training = false, shuffle = false }) do
    check.near(bx, x:slice { at, at + #bx - 1 })
    check.near(bw, weight:slice { at, at + #bx - 1 })
    at = at + #bx
  end
  local part, _, part_weight = set:subset { 30, 3 }:tensors()
  check.near(part[2], x[3])
  check.near(part_weight[1], weight[30])
  local left, _, left_weight = rows(30, "left"):mask_tokens { share = 0.3, seed = 4 }:tensors()
  check.near(left[30]:slice { 18, 20 }, x[30]:slice { 1, 3 })
  check.near(left_weight[30], { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    weight[30][1]:item(), weight[30][2]:item(), weight[30][3]:item() })
end

function tests.test_start_and_end_are_never_chosen()
  local set = data.lines(check.file("m.txt", ("ab\n"):rep(50)), { predict = "each" })
  local x, y, weight = first(set:mask_tokens(0.9), { shuffle = false })
  check.near(x:slice({}, { 1, 1 }), tensor.full(set.vocabulary:number "<start>", 50, 1))
  check.near(weight:slice({}, { 1, 1 }):sum():item(), 0)
  check.near(y, (set:tensors()))
end

function tests.test_sets_of_numbers_and_what_is_refused()
  local ids = data.set(tensor { { 3, 1, 2 }, { 2, 2, 0 } })
  local set = ids:mask_tokens()
  check.equal({ set.classes, set.vocabulary, set.class_names }, { 4, nil, nil })
  local _, y, weight = set:tensors()
  check.equal(y:totable(), { { 3, 1, 2 }, { 2, 2, 0 } })
  check.near(weight:slice({ 2, 2 }, { 3, 3 }):item(), 0)
  check.fails(function() data.set(tensor { { 1.5, 1 } }):mask_tokens() end, "no numbers of tokens")
  check.fails(function() data.moons():mask_tokens() end, "no numbers of tokens")
  check.fails(function() data.mnist1d { n = 20, sequence = true }.train:mask_tokens() end, "shape")
  check.fails(function() ids:mask_tokens { hidden = 0.8, other = 0.3 } end, "sum to 1")
  check.fails(function() set:mask_tokens() end, "has hidden tokens")
  check.fails(function() set:cache() end, "set:mask_tokens", "copy")
  check.fails(function() set:normalize() end, "mask_tokens comes last")
  check.fails(function() set:transform { data.random_noise() } end, "mask_tokens comes last")
  check.fails(function() ids:transform { data.random_noise() }:mask_tokens() end, "transformed")
  check.fails(function() data.copy_symbols { n = 3 }:mask_tokens() end, "weights")
end

-- The vocabulary of hidden tokens has <mask> already: another text takes that number of it.
function tests.test_a_second_text_has_the_same_mask()
  local set = rows(40)
  local masked = set:mask_tokens(0.5)
  local again = data.lines(check.temp .. "/rows.txt",
    { by = "words", vocabulary = masked.vocabulary })
  local second = again:mask_tokens(0.5)
  check.equal({ second.classes, second.vocabulary:tokens(), second.class_names },
    { masked.classes, masked.vocabulary:tokens(), masked.class_names })
  check.near(second:tensors(), (masked:tensors()))
  local v = data.vocabulary { "<mask>", "a", "b" }
  local early = data.lines(check.file("ab.txt", ("a b\n"):rep(20)), { vocabulary = v })
  local x, _, weight = early:mask_tokens { share = 1, hidden = 1, other = 0 }:tensors()
  check.near(x, tensor.ones(20, 2))
  check.near(weight, x)
  check.equal(early:mask_tokens().classes, 3)
  check.fails(function() set:map(function(x) return x + 100 end):mask_tokens() end,
    "no numbers of tokens")
end

-- Numbers may stand where the mask is 0, too: never is one of them the only one that is chosen.
function tests.test_steps_that_do_not_count_are_never_chosen()
  local x = { { 9, 9, 9, 1, 2, 3 }, { 4, 9, 5, 9, 9, 6 } }
  local mask = tensor { { 0, 0, 0, 1, 1, 1 }, { 1, 0, 1, 0, 0, 1 } }
  local set = data.set(tensor(x), nil, { mask = mask }):mask_tokens(0)
  for seed = 1, 20 do
    local _, y, weight = first(set, { seed = seed, shuffle = false })
    check.near((weight * (1 - mask)):sum():item(), 0)
    check.near(weight:sum(2), { 1, 1 })
    check.equal(y:totable(), { { 0, 0, 0, 1, 2, 3 }, { 4, 0, 5, 0, 0, 6 } })
  end
end

-- Tokens that follow each other are found again from what is beside them.
function tests.test_it_trains()
  local lines = {}
  for i = 1, 60 do lines[i] = ("abcdefgh"):rep(2):sub(i % 8 + 1, i % 8 + 6 + i % 3) end
  local set = data.lines(check.file("abc.txt", table.concat(lines, "\n")), { unknown = false })
  local hidden = set:mask_tokens { share = 0.2 }
  local net = nn.Sequential { nn.Embedding(hidden.classes, 12, { mask_zero = true }),
    nn.LSTM(24, { return_sequences = true }), nn.Dense(hidden.classes) }
  local history = train.fit(net, hidden, { loss = "sparse_categorical_crossentropy", epochs = 12,
    optimizer = optim.Adam { lr = 0.02 }, metrics = { "accuracy" }, verbose = false })
  local result = net:evaluate(hidden, { metrics = { "accuracy" } })
  check.equal(result.loss, net:evaluate(hidden, { metrics = { "accuracy" } }).loss)
  check.yes(result.accuracy > 0.5, result.accuracy)
  check.yes(history ~= nil)
end

check.run(tests)
