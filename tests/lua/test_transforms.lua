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

-- Transforms of a kind each, alone on rows of two planes, three where colours count.
local moving = { data.random_shift(0.3), data.random_rotation(40), data.random_shear(30),
                 data.random_zoom(0.4), data.random_brightness(0.5), data.random_contrast(0.5),
                 data.random_erasing(0.8), data.random_noise(0.3), data.random_resized_crop(5),
                 data.mixup(1), data.cutmix() }
local colours = { data.random_saturation(0.9), data.random_hue(0.3) }

local function drawn(set, size)
  tensor.seed(3)
  return rows(set, size, { shuffle = "none", seed = 7, name = "a" })
end

function tests.test_every_transform_draws_by_row_alone()
  for n_planes, list in pairs { [2] = moving, [3] = colours } do
    for _, transform in ipairs(list) do
      tensor.seed(1)
      local plain = data.set(tensor.rand(7, n_planes, 5, 5), tensor.randint(1, 3, 7))
      local set = plain:transform(transform)
      local one = drawn(set, 1)
      check.yes(same(one, drawn(set, 7)), tostring(transform))
      check.yes(not same(one, drawn(plain, 7)), tostring(transform))
      check.equal((set:tensors()):totable(), (plain:tensors()):totable(), tostring(transform))
    end
  end
end

-- Of a plane that rises along rows (columns): where its places have come from.
function tests.test_pictures_move_as_their_equations_say()
  local r = tensor.arange(-4, 4):reshape(1, 9, 1):add(tensor.zeros(2, 9, 9)):eval()
  local c = tensor.arange(-4, 4):reshape(1, 1, 9):add(tensor.zeros(2, 9, 9)):eval()
  local both = tensor.concat({ r:reshape(2, 1, 9, 9), c:reshape(2, 1, 9, 9) }, 2):eval()
  local function moved(transform)
    local x = rows(data.set(both):transform(transform), 2, { shuffle = "none" })[1]
    return function(plane, i, j) return x[plane][i + 5][j + 5]:item() end
  end
  -- Near the middle nothing comes from outside; bilinear values of a plane are exact.
  local at = moved(data.random_rotation(20))
  local a = math.atan(at(1, 0, 1), at(1, 1, 0))
  check.near({ at(1, 0, 0), at(1, 1, 1), at(2, 1, 1) },
             { 0, math.cos(a) + math.sin(a), math.cos(a) - math.sin(a) }, 1e-5)
  check.yes(a ~= 0 and math.abs(a) <= math.rad(20))
  at = moved(data.random_shift { 0.1, 0.2 })
  check.near({ at(1, 1, 1) - at(1, 0, 0), at(2, 1, 1) - at(2, 0, 0) }, { 1, 1 }, 1e-5)
  check.yes(math.abs(at(1, 0, 0)) <= 0.9 and at(1, 0, 0) ~= 0 and math.abs(at(2, 0, 0)) <= 1.8)
  at = moved(data.random_shear(20))
  check.near({ at(1, 1, 1), at(2, 1, 1) - at(2, -1, 1), at(2, 0, 1) },
             { 1, 2 * at(2, 1, 0), 1 }, 1e-5)
  at = moved(data.random_zoom(0.3))
  check.near({ at(1, 1, 0), at(1, 2, 0) }, { at(2, 0, 1), 2 * at(2, 0, 1) }, 1e-5)
  check.yes(at(1, 1, 0) >= 1 / 1.3 and at(1, 1, 0) <= 1 / 0.7 and at(1, 1, 0) ~= 1)
end

function tests.test_resize_keeps_means_and_ramps()
  local ramp = data.set(tensor.arange(1, 8):reshape(1, 1, 8))
  check.near(ramp:transform(data.resize { 1, 4 }):tensors(),
             { { { 12 / 7, 3.5, 5.5, 51 / 7 } } }, 1e-6)
  check.near(ramp:transform(data.resize { 1, 8 }):tensors(), ramp:tensors(), 1e-6)
  check.near(ramp:transform(data.resize { 2, 16 }):tensors():slice({}, { 1, 1 }, { 1, 4 }),
             { { { 1, 1.25, 1.75, 2.25 } } }, 1e-6)
  local even = data.set(tensor.full(3, 2, 7, 5))
  check.near(even:transform(data.random_resized_crop { size = { 3, 4 } }):tensors(),
             tensor.full(3, 2, 3, 4), 1e-6)
end

function tests.test_colours_change_as_their_equations_say()
  local x = tensor.rand(2, 3, 4, 4)
  local function changed(transform)
    return rows(data.set(x):transform(transform), 2, { shuffle = "none" })
  end
  local y = changed(data.random_brightness(0.5))
  check.near(y[1] / x[1], tensor.full((y[1] / x[1])[1][1][1]:item(), 3, 4, 4), 1e-5)
  local luma = tensor { 0.299, 0.587, 0.114 }:reshape(3, 1, 1)
  y = changed(data.random_contrast(0.5))
  local mean = (x[1] * luma):sum(1):mean():item()
  local f = (y[1] - mean) / (x[1] - mean)
  check.near(f, tensor.full(f[1][1][1]:item(), 3, 4, 4), 1e-3)
  y = changed(data.random_saturation(0.5))
  check.near((y[1] * luma):sum(1), (x[1] * luma):sum(1), 1e-5)
  y = changed(data.random_hue(0.5))
  check.near(y[1]:sum(1), x[1]:sum(1), 1e-5)
  check.near((y[1] * y[1]):sum(1), (x[1] * x[1]):sum(1), 1e-5)
  check.yes((y[1] - x[1]):abs():max():item() > 1e-3)
  y = changed(data.random_brightness { factor = 3, clip = true })
  check.yes(y[1]:max():item() <= 1 and y[2]:max():item() <= 1)
end

function tests.test_mixed_targets_are_the_shares_of_both()
  tensor.seed(2)
  local n, labels = 60, tensor.randint(1, 4, 60)
  local one_hot = tensor.one_hot(labels, 4)
  -- The row's picture says its class, so that what is mixed shows in both.
  local pictures_of = one_hot:reshape(n, 4, 1, 1):add(tensor.zeros(n, 4, 6, 6)):eval()
  local set = data.set(pictures_of, labels)
  for _, transform in ipairs { data.mixup(1), data.cutmix(), data.cutmix { alpha = 1, p = 0.5 } } do
    local mixed, n_mixed = set:transform(transform), 0
    for x, y in mixed:batches(16, { shuffle = "none" }) do
      check.near(x:mean { 3, 4 }, y, 1e-5)
      check.near(y:sum(2), tensor.ones(y.shape[1]), 1e-5)
      n_mixed = n_mixed + y:max(2):lt(0.999):sum():item()
    end
    check.yes(n_mixed >= 10 and n_mixed <= 50)
    local _, plain = mixed:tensors()
    check.equal(plain:totable(), one_hot:totable())
    check.equal(#mixed:split(0.5), 30)
  end
  -- What trains on mixtures is measured against the larger share.
  local fixed = nn.Lambda(function(x) return x end)
  local shares = tensor { { 0.7, 0.3 }, { 0.4, 0.6 }, { 0.9, 0.1 } }
  local measured = nn.Sequential { fixed }:build { 2 }:evaluate(
    data.set(tensor { { 2, 1 }, { 2, 1 }, { 1, 2 } }, shares),
    { loss = loss.categorical_crossentropy { from_logits = true }, metrics = { "accuracy" } })
  check.near(measured.accuracy, 1 / 3, 1e-6)
end

function tests.test_mixing_has_its_bounds()
  local set = pictures(4, 6, 6)
  local mixed = set:transform(data.mixup())
  check.fails(function() mixed:transform(data.random_flip()) end, "comes last", "random_flip")
  check.fails(function() mixed:transform(data.cutmix()) end, "comes last")
  check.fails(function() mixed:cache() end, "data.mixup", "draws anew")
  check.fails(function()
    data.set(tensor.randn(2, 3), tensor.randn(2), { weight = tensor { 1, 2 } }):transform "mixup"
  end, "weights")
  check.fails(function() data.set(tensor.randn(2, 3)):transform(data.cutmix()) end, "pictures")
  check.fails(function()
    data.set(tensor.randn(2, 3), tensor.ones(2, 1, { dtype = "int32" })):transform "mixup"
  end, "no labels")
  check.fails(function() data.random_erasing { smallest = 0.5, largest = 0.2 } end, "at most")
  check.fails(function() data.random_hue(0.6) end, "from 0 to 0.5")
  check.fails(function() set:transform(data.random_hue()) end, "coloured pictures")
  -- Numbers are mixed as they are; one row has itself for partner.
  local one = data.set(tensor { { 1, 2 } }, tensor { 5 }):transform(data.mixup(1))
  for x, y in one:batches(1) do check.near({ x:totable(), y:totable() }, { { 1, 2 }, 5 }, 1e-6) end
end

check.run(tests)
