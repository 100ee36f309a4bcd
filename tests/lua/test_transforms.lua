-- What is done to rows on their way into a batch: random transforms draw by seed, fit, epoch
-- and row alone, and only where something is trained.
local check = dofile "tests/check.lua"
local tests = {}

local function pictures(n, h, w)
  return data.set(tensor.randn(n, 2, h, w), tensor.randint(1, 3, n))
end

local function augmented(set, h, w)
  return set:transform { data.random_crop({ h, w }, { padding = 2 }),
                         data.random_flip { mode = "both" } }
end

-- Rows by their number, as the batches of one epoch give them.
local function rows(set, size, options)
  local found = {}
  for x in set:batches(size, options) do
    for i = 1, x.shape[1] do found[#found + 1] = x[i]:eval() end
  end
  return found
end

local function same(a, b)
  for i = 1, #a do if a[i]:ne(b[i]):sum():item() ~= 0 then return false end end
  return #a == #b
end

function tests.test_a_row_does_not_depend_on_its_batch()
  tensor.seed(3)
  local set = augmented(pictures(13, 6, 5), 6, 5)
  local one = rows(set, 1, { shuffle = "none", seed = 7, name = "a" })
  tensor.seed(3)
  local all = rows(set, 13, { shuffle = "none", seed = 7, name = "a" })
  check.yes(same(one, all))
  local next_epoch = rows(set, 5, { shuffle = "none", seed = 7, name = "a" })
  check.yes(not same(one, next_epoch))
  tensor.seed(3)
  local part = rows(set:subset { 13, 4 }, 2, { shuffle = "none", seed = 7, name = "a" })
  check.yes(same(part, { all[13], all[4] }))
end

function tests.test_what_is_not_trained_is_not_drawn()
  local plain = pictures(9, 6, 6)
  local set = augmented(plain, 6, 6)
  check.yes(same({ set:tensors() }, { plain:tensors() }))
  check.yes(same(rows(set, 4, { shuffle = "none", training = false }),
                 rows(plain, 4, { shuffle = "none" })))
  local net = nn.Sequential { nn.Flatten(), nn.Dense(3) }
  local loss = "sparse_categorical_crossentropy"
  train.fit(net, plain, { loss = loss, verbose = false })
  check.equal(net:evaluate(set, { loss = loss }).loss, net:evaluate(plain, { loss = loss }).loss)
  local middle = plain:transform(data.random_crop { size = { 2, 4 } }):tensors()
  local x = plain:tensors()
  check.yes(middle:ne(x:slice({}, {}, { 3, 4 }, { 2, 5 })):sum():item() == 0)
end

local function fitted(set, options)
  tensor.seed(5)
  local net = nn.Sequential { nn.Flatten(), nn.Dense(3) }
  options.loss, options.verbose = "sparse_categorical_crossentropy", false
  return train.fit(net, set, options), net
end

function tests.test_a_fit_draws_by_epoch_and_validates_on_rows_as_they_are()
  tensor.seed(1)
  local plain = pictures(40, 6, 6)
  local set = augmented(plain, 6, 6)
  local a = fitted(set, { epochs = 3, validation = 0.25 })
  local b = fitted(set, { epochs = 3, validation = 0.25 })
  check.equal(a.loss, b.loss)
  local none = fitted(plain, { epochs = 3, validation = 0.25 })
  check.yes(a.loss[1] ~= none.loss[1])
  -- A rate of 0 keeps the weights: losses differ by what is drawn alone.
  local still = { optimizer = optim.SGD { lr = 0 }, epochs = 3, validation = 0.25 }
  local drawn, net = fitted(set, still)
  check.yes(drawn.loss[1] ~= drawn.loss[2] and drawn.loss[2] ~= drawn.loss[3])
  check.equal(drawn.val_loss[1], drawn.val_loss[3])
  local _, other = fitted(plain, { optimizer = optim.SGD { lr = 0 } })
  local x = plain:tensors()
  check.equal(net:predict(x):totable(), other:predict(x):totable())
end

function tests.test_chains_are_in_order_and_may_change_the_shape()
  local set = data.set(tensor.arange(1, 36):reshape(1, 6, 6))
  local small = set:transform(data.random_crop(4)):transform(data.random_crop(2))
  check.equal(small:tensors():totable(), { { { 15, 16 }, { 21, 22 } } })
  local normalized, transform = small:normalize { per = "all" }
  local x = normalized:tensors()
  check.yes(math.abs(x:mean():item()) <= 1e-6 and math.abs(x:var():item() - 1) <= 1e-5)
  check.yes(small:normalize(transform):tensors():ne(x):sum():item() == 0)
  -- A border that is added after normalizing is the mean.
  local padded = set:normalize { per = "all" }:transform(data.random_crop(8, { padding = 1 }))
  check.equal(padded:tensors()[1][1]:totable(), { 0, 0, 0, 0, 0, 0, 0, 0 })
end

function tests.test_a_flip_turns_as_often_as_it_says()
  local n = 4000
  local set = data.set(tensor.arange(1, 3):reshape(1, 1, 3):add(tensor.zeros(n, 1, 3)):eval())
  local function share(p, mode)
    local count, turned = 0, 0
    for x in set:transform(data.random_flip { p = p, mode = mode }):batches(n) do
      turned = turned + x:slice({}, {}, { 1, 1 }):eq(3):sum():item()
      count = count + x.shape[1]
    end
    return turned / count
  end
  check.equal(share(0), 0)
  check.equal(share(1), 1)
  check.equal(share(1, "vertical"), 0)
  local half = share(0.5)
  check.yes(math.abs(half - 0.5) <= 4 * math.sqrt(0.25 / n))
end

function tests.test_what_does_not_fit_is_refused()
  local set = pictures(3, 6, 6)
  check.fails(function() set:transform(data.random_crop(7)) end, "got 7 rows, allowed: at most 6")
  check.fails(function() set:transform "random_flop" end, 'did you mean "random_flip"')
  check.fails(function() data.random_crop { size = { 1, 2, 3 } } end, "got 3 numbers")
  check.fails(function() data.random_crop(0) end, "from 1")
  check.fails(function() data.random_flip { p = 1.5 } end, "from 0 to 1")
  local flat = data.set(tensor.randn(3, 4), tensor.randint(1, 2, 3))
  check.fails(function() flat:transform(data.random_flip()) end, "allowed: pictures")
end

check.run(tests)
