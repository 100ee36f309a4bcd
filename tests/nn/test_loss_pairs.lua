-- Losses that couple the rows of a batch: what each row counts, rows that are left out, batches
-- without pairs, training.

local check = dofile "tests/check.lua"
local tests = {}

local function int(list) return tensor(list, { dtype = "int32" }) end

local made = { loss.contrastive(), loss.contrastive(3), loss.triplet(), loss.triplet(2),
  loss.triplet { mining = "all" } }

local x, labels = tensor.randn(6, 3):eval(), int { 1, 2, 1, 2, 2, 3 }

local function value_and_gradient(l, rows, of, weight, mask)
  local v = tensor.variable(rows)
  local y = l(v, of, weight, mask)
  return y:item(), grad(y, { v })[1]
end

-- Weights of 1 change nothing; rows of weight 0 are as if they were not there, whatever they
-- hold, and nothing flows to them.
function tests.test_rows_of_weight_0_are_not_there()
  local weight = tensor { 1, 1, 1, 1, 1, 0 }
  local holes = tensor.concat({ x:slice { 1, 5 }, tensor { { 0 / 0, 1 / 0, 1 } } }, 1):eval()
  for _, l in ipairs(made) do
    local all, flows = value_and_gradient(l, x, labels)
    local same, alike = value_and_gradient(l, x, labels, tensor.ones(6))
    check.near(same, all, 10 * check.eps)
    check.yes((flows - alike):abs():max():item() <= 10 * check.eps)
    local five = value_and_gradient(l, x:slice { 1, 5 }:eval(), labels:slice { 1, 5 }:eval())
    for _, rows in ipairs { x, holes } do
      local got, flow = value_and_gradient(l, rows, labels, weight)
      check.near(got, five, 10 * check.eps)
      check.equal(flow:slice({ 6, 6 }):abs():max():item(), 0.0)
      check.equal(value_and_gradient(l, rows, labels, nil, weight), got, "a mask does the same")
    end
  end
end

function tests.test_a_pair_counts_the_product_of_its_rows()
  local rows, of = tensor { { 0 }, { 1 }, { 3 } }, int { 1, 1, 2 }
  local w = tensor { 1, 2, 3 }
  check.near(loss.contrastive(4)(rows, of):item(), (1 + 1 + 4) / 2 / 3)
  check.near(loss.contrastive(4)(rows, of, w):item(), (2 * 1 + 3 * 1 + 6 * 4) / 2 / 11)
  check.near(loss.triplet(4)(rows, of):item(), (1 - 3 + 4 + 1 - 2 + 4) / 2)
  check.near(loss.triplet(4)(rows, of, w):item(), (2 + 2 * 3) / 3)
  check.near(loss.triplet { margin = 4, mining = "all" }(rows, of, w):item(), (2 + 3) / 2)
end

function tests.test_what_is_refused()
  for _, l in ipairs(made) do
    check.fails(function() l(x, int { 1, 2 }) end, "one label per row, [N]")
    check.fails(function() l(x:reshape(6, 3, 1), labels) end, "rows [N, D]")
    check.fails(function() l(x, labels, tensor.ones(6, 3)) end, "weights")
    check.fails(function() l(x:slice { 1, 1 }, int { 1 }):item() end, "weights")
  end
  check.fails(function() loss.triplet { mining = "harder" } end, '"hard", "all"')
  check.fails(function() loss.contrastive(0) end, "margin")
  local net, set = nn.Sequential { nn.Dense(2) }, data.set(x, labels)
  local options = { loss = "triplet", metrics = { "accuracy" }, verbose = false }
  check.fails(function() train.fit(net, set, options) end, "does not follow from the loss")
  check.equal(next(nn.Sequential { nn.Dense(2) }:evaluate(set, { loss = "triplet" })), "loss")
end

-- Two rings become two heaps; rows of equal embeddings give no NaN.
function tests.test_embeddings_are_learned()
  for _, l in ipairs { loss.contrastive(2), loss.triplet() } do
    tensor.seed(2)
    local net = nn.Sequential { nn.Dense(24, { activation = "tanh" }), nn.Dense(2) }
    local angle = tensor.rand(80) * 6.2832
    local radius = tensor.arange(1, 80):gt(40) + 1
    local rings = tensor.concat({ (angle:cos() * radius):reshape(80, 1),
      (angle:sin() * radius):reshape(80, 1) }, 2):eval()
    local set = data.set(rings, radius:cast "int32":eval())
    local h = train.fit(net, set, { loss = l, optimizer = optim.Adam { lr = 0.02 }, epochs = 25,
      batch_size = 40, verbose = false })
    check.yes(h.loss[#h.loss] < 0.5 * h.loss[1], tostring(h.loss[#h.loss]))
  end
  local v = tensor.variable(tensor.zeros(3, 2))
  local step = train.step(function() return loss.triplet()(v, int { 1, 1, 2 }) end, { v }, "sgd")
  check.near(step(), 1)
  check.equal(v:totable(), { { 0, 0 }, { 0, 0 }, { 0, 0 } })
end

-- A set is measured by its pairs: a last batch of one row has none and adds nothing, and one of
-- two rows counts as its one pair.
function tests.test_batches_without_pairs_add_nothing()
  local set = data.set(x, labels)
  local net = nn.Sequential { nn.Identity() }
  local function value(l, rows) return l(x:slice { 1, rows }, labels:slice { 1, rows }) end
  for _, l in ipairs(made) do
    local got = net:evaluate(set, { loss = l, batch_size = 5 }).loss
    check.near(got, value(l, 5):item(), 10 * check.eps)
    local one = set:take(1)
    check.fails(function() net:evaluate(one, { loss = l }) end, "no batch has rows")
  end
  local l, last = loss.contrastive(3), loss.contrastive(3)(x:slice { 5, 6 }, labels:slice { 5, 6 })
  local by_pairs = (6 * value(l, 4):item() + last:item()) / 7
  check.near(net:evaluate(set, { loss = l, batch_size = 4 }).loss, by_pairs, 10 * check.eps)
end

check.run(tests)
