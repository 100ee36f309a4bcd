-- Data sets as scripts see them: labels from 1, sets that do not change, batches.

local check = dofile "tests/check.lua"
local tests = {}

-- IDX bytes: type 08, sizes, then the elements.
local function idx(sizes, bytes)
  local head = ("\0\0\8%c"):format(#sizes)
  for _, n in ipairs(sizes) do head = head .. (">I4"):pack(n) end
  return head .. string.char(table.unpack(bytes))
end

local function small()
  return data.set(tensor { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 }, { 9, 10 } },
    tensor { 1, 2, 1, 2, 1 }, { classes = 2 })
end

local function collect(set, ...)
  local out = {}
  for x in set:batches(...) do
    for _, row in ipairs(x:totable()) do out[#out + 1] = row[1] end
  end
  return out
end

function tests.test_idx_files()
  local pixels = { 0, 51, 102, 153, 204, 255, 0, 0, 1, 2, 3, 4 }
  local images = check.file("images", idx({ 3, 2, 2 }, pixels))
  local labels = check.file("labels", idx({ 3 }, { 0, 2, 1 }))
  local set = data.idx { images = images, labels = labels }
  check.equal(tostring(set), "data.idx (not read yet)")
  check.equal({ #set, set.classes, set.features }, { 3, 3, { 1, 2, 2 } })
  local x, y = set:tensors()
  check.equal(x.shape, { 3, 1, 2, 2 })
  check.near(x[1], { 0, 0.2, 0.4, 0.6 })
  check.equal(y:totable(), { 1, 3, 2 })
  check.equal(y.dtype, "int32")
  check.near(data.idx(images, { scale = false }):tensors()[2], { 204, 255, 0, 0 })
  check.fails(function() return #data.idx(images, labels, { label_base = 1 }) end, labels,
    "label 0 in row 1")
  check.fails(function() return #data.idx(images, labels, { classes = 2 }) end, "label 2 in row 2")
end

function tests.test_parts_of_fashion_mnist()
  local dir = check.temp
  check.file("t10k-images-idx3-ubyte", idx({ 1, 28, 28 }, {}) .. ("\0"):rep(784))
  check.file("t10k-labels-idx1-ubyte", idx({ 1 }, { 9 }))
  local fashion = data.fashion_mnist { dir = dir }
  check.equal(fashion.dir, dir)
  check.equal(#fashion.test, 1)
  check.equal(fashion.test.name, "fashion_mnist.test")
  check.equal(fashion.test.class_names[10], "Ankle boot")
  check.fails(function() return fashion.tset end, 'did you mean "test"')
  check.fails(function() return #fashion.train end, "train-images-idx3-ubyte", "RUNNER_DATA")
  check.fails(function() fashion.scale = false end, "when it is made")
end

function tests.test_batches_cover_the_set()
  local set, sizes = small(), {}
  for x, y in set:batches(2) do
    sizes[#sizes + 1] = x.shape[1]
    for i = 1, #y do check.equal(y[i]:item(), x[i][1]:item() // 2 % 2 + 1) end
  end
  check.equal(sizes, { 2, 2, 1 })
  local sorted = collect(set, 2)
  table.sort(sorted)
  check.equal(sorted, { 1, 3, 5, 7, 9 })
  check.equal(collect(set, 2, { shuffle = "none" }), { 1, 3, 5, 7, 9 })
  check.equal(#collect(set, 2, { drop_last = true }), 4)
  check.equal(#collect(set), 5)
end

function tests.test_orders()
  local set = data.moons { n = 50, seed = 3 }
  local once = collect(set, 7, { shuffle = "once" })
  check.equal(collect(set, 7, { shuffle = "once" }), once)
  local first, second = collect(set, 7), collect(set, 7)
  local same = true
  for i = 1, 50 do same = same and first[i] == second[i] end
  check.equal(same, false)
  tensor.seed(1)
  local again = collect(set, 7)
  tensor.seed(1)
  check.equal(collect(set, 7), again)
end

function tests.test_batches_stay_valid_when_kept()
  local kept = {}
  for x in small():batches(2, { shuffle = "none" }) do kept[#kept + 1] = x end
  check.near(kept[1], { 1, 2, 3, 4 })
  check.near(kept[2], { 5, 6, 7, 8 })
end

function tests.test_leaving_a_loop_early()
  local set = small()
  for _ = 1, 100 do
    for x in set:batches(1) do
      if x then break end
    end
  end
end

function tests.test_rows_without_labels()
  for x, y in data.set(tensor { { 1 }, { 2 } }):batches(2) do
    check.equal(x.shape, { 2, 1 })
    check.equal(y, nil)
  end
end

function tests.test_split()
  local set = data.circles { n = 100 }
  local a, b = set:split(0.8)
  check.equal({ #a, #b }, { 80, 20 })
  local a2 = set:split(0.8)
  check.equal(collect(a, 10, { shuffle = "none" }), collect(a2, 10, { shuffle = "none" }))
  local c, d = set:split(30, { stratify = true, seed = 5 })
  check.equal({ #c, #d }, { 30, 70 })
  local _, y = c:tensors()
  check.equal(y:eq(1):sum():item(), 15)
  check.equal(#set, 100)
  check.fails(function() set:split(1.5) end, "got 1.5", "fraction")
  check.fails(function() set:split(1.0) end, "got 1.0", "fraction below 1")
  check.fails(function() set:split { part = 1.0 } end, "got 1.0")
  check.fails(function() set:split() end, "part")
  check.equal(#(set:split(1)), 1)
  check.fails(function() set:split(0.5, { stratfy = true }) end, 'did you mean "stratify"')
  check.fails(function() set:split(100) end, "got 100 rows", "1 to 99")
end

function tests.test_views()
  local set = small()
  check.near(set:take(2):tensors(), { 1, 2, 3, 4 })
  check.near(set:subset { 5, 1, -2 }:tensors(), { 9, 10, 1, 2, 7, 8 })
  check.near(set:subset { 5, 1 }:take(1):tensors(), { 9, 10 })
  local order = set:shuffle { seed = 4 }:tensors():totable()
  check.equal(set:shuffle { seed = 4 }:tensors():totable(), order)
  check.fails(function() set:take(6) end, "got 6 rows", "1 to 5")
  check.fails(function() set:subset { 0 } end, "element 1 is 0", "1 to 5")
  check.fails(function() set.rows = 3 end, "do not change")
  check.fails(function() return set.batch end, 'did you mean "batches"')
end

function tests.test_normalize_learns_from_one_set_and_serves_another()
  local set = small()
  local train, rest = set:split(3, { shuffle = false })
  local normal, transform = train:normalize()
  local x = normal:tensors()
  check.near(x:mean(1), { 0, 0 })
  check.near(x:square():mean(1), { 1, 1 })
  local s = (8 / 3) ^ 0.5
  check.near(rest:normalize(transform):tensors(), { 4 / s, 4 / s, 6 / s, 6 / s })
  check.near(train:normalize { per = "all" }:tensors():mean(), 0)
  check.fails(function() set:normalize { per = "row" } end, "row", "feature")
end

function tests.test_synthetic_sets()
  for _, name in ipairs { "spirals", "moons", "circles", "xor" } do
    local set = data[name] { n = 40 }
    check.equal({ #set, set.classes, set.features }, { 40, 2, { 2 } })
    check.equal(set:tensors():totable(), data[name](40, { seed = 1 }):tensors():totable())
  end
  check.equal(data.spirals { n = 9, classes = 3 }.classes, 3)
  check.fails(function() data.moons { n = 0 } end, "data.moons", '"n"', "got 0")
  check.fails(function() data.spirals { clases = 2 } end, 'did you mean "classes"')
  check.fails(function() data.xor { noise = -1 } end, "noise", "-1")
end

function tests.test_labels()
  local x = tensor { { 1 }, { 2 } }
  check.equal(data.set(x, tensor({ 1, 3 }, { dtype = "int32" })).classes, 3)
  check.equal(data.set(x, tensor { 0, 1 }, { classes = 2, label_base = 0 }).classes, 2)
  check.equal(data.set(x, tensor { 0.5, 1 }).classes, nil)
  check.fails(function() data.set(x, tensor { 0, 1 }, { classes = 2 }) end, "label 0 in row 1",
    "count from 1")
  check.fails(function() data.set(x, tensor { 1, 5 }, { classes = 2 }) end, "label 5 in row 2")
  check.fails(function() data.set(x, tensor { 1 }) end, "x has 2 rows, y has 1")
  check.fails(function() data.set(x, tensor { 1, 2 }, { clases = 2 }) end, "clases")
end

function tests.test_empty_sets()
  local empty = data.set(tensor.zeros(0, 2))
  check.equal(#empty, 0)
  for _, f in ipairs { "batches", "shuffle", "normalize", "tensors" } do
    check.fails(function() empty[f](empty) end, "data set is empty: set")
  end
  check.fails(function() empty:split(0.5) end, "data set is empty: set")
  check.fails(function() empty:take(1) end, "data set is empty: set")
  check.fails(function() small():batches(6, { drop_last = true }) end, "data set is empty",
    "drop_last")
  check.fails(function() small():batches(0) end, "batch_size", "got 0")
end

check.run(tests)
