-- Methods of data sets that choose rows by class or in turn, copy them, or give each to a
-- function: what is carried along, and the edges: no row, one row, one class.
local check = dofile "tests/check.lua"
local tests = {}

-- Row i of x holds i, its class is classes[i].
local function labelled(classes, options)
  local n = #classes
  local x = tensor.arange(1, n):reshape(n, 1):add(tensor.zeros(1, 2)):eval()
  return data.set(x, tensor(classes, { dtype = "int32" }), options)
end

-- The numbers of the rows, and their labels.
local function rows(set)
  local x, y = set:tensors()
  local numbers = {}
  for i, row in ipairs(x:totable()) do numbers[i] = row[1] end
  return numbers, y and y:totable()
end

local function sorted(list)
  table.sort(list)
  return list
end

local function numbers_to(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

function tests.test_only_some_classes()
  local set = labelled { 1, 2, 3, 2, 1, 3 }
  local x, y = rows(set:only { 3, 1 })
  check.equal({ x, y }, { { 1, 3, 5, 6 }, { 2, 1, 2, 1 } })
  x, y = rows(set:only({ 3 }, { renumber = false }))
  check.equal({ x, y }, { { 3, 6 }, { 3, 3 } })
  check.equal(set:only({ 3 }, { renumber = false }).classes, 3)
  -- Of what was chosen before, and of rows in another order.
  x, y = rows(set:only { 3, 1 }:only { 2 })
  check.equal({ x, y }, { { 1, 5 }, { 1, 1 } })
  check.equal({ rows(set:subset { 6, 1, 2 }:only { 3, 1 }) }, { { 6, 1 }, { 1, 2 } })
  local empty = set:subset({ 2, 4 }):only { 1 }
  check.equal(#empty, 0)
  check.fails(function() empty:tensors() end, "data set is empty")
  local named = check.csv("a,kind\n1,cat\n2,dog\n3,cow\n", { target = "kind" })
  local few = named:only { "dog", 1 }
  check.equal(few.class_names, { "dog", named.class_names[1] })
  check.equal({ few.classes, #few, few.feature_names }, { 2, 2, { "a" } })
  check.fails(function() named:only { "dug" } end, 'no class "dug"', 'did you mean "dog"')
  check.fails(function() set:only { 4 } end, "got class 4, allowed: 1 to 3")
  check.fails(function() set:only { 1, 1 } end, "twice")
  check.fails(function() set:only { 1.5 } end, "1.5")
  check.fails(function() data.set(tensor.zeros(3, 1), tensor.zeros(3, 1)):only { 1 } end,
              "needs labels")
end

function tests.test_folds_share_out_every_row_once()
  local set = labelled { 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2 }
  for _, options in ipairs { { shuffle = false }, {}, { stratify = true } } do
    local seen = {}
    for _, fold in ipairs(set:k_fold(3, options)) do
      local of_train, of_validation = rows(fold.train), rows(fold.validation)
      for _, i in ipairs(of_validation) do seen[#seen + 1] = i end
      local all = table.move(of_train, 1, #of_train, #of_validation + 1, of_validation)
      check.equal(sorted(all), numbers_to(11))
      check.yes(#fold.validation == 3 or #fold.validation == 4)
      if options.stratify then
        local n = #fold.validation:only { 2 }
        check.yes(n == 1 or n == 2)
      end
    end
    check.equal(sorted(seen), numbers_to(11))
  end
  check.equal(rows(set:k_fold(3, { shuffle = false })[2].validation), { 5, 6, 7, 8 })
  check.equal(rows(set:k_fold(3)[1].train), rows(set:k_fold(3)[1].train))
  check.equal(#set:k_fold(11)[11].train, 10)
  check.fails(function() set:k_fold(12) end, "got 12 folds, allowed: 2 to 11")
  check.fails(function() set:k_fold(1) end, "k")
  check.fails(function() set:take(1):k_fold(2) end, "got 2 folds")
end

-- The rows that are trained on decide what fills gaps in those that are not.
function tests.test_a_fold_is_filled_in_by_its_own_training_rows()
  local set = check.csv("a,y\n0,1\n,2\n4,1\n8,2\n", { target = "y", missing = "mean" })
  local fold = set:k_fold(4, { shuffle = false })[2]
  check.near(fold.validation:tensors(), { { 4 } })
end

function tests.test_balance()
  local set = labelled { 1, 1, 1, 1, 1, 2, 2, 3 }
  local more, fewer = set:balance(), set:balance "drop"
  check.equal({ #more, #fewer }, { 15, 3 })
  for class = 1, 3 do
    check.equal({ #more:only { class }, #fewer:only { class } }, { 5, 1 })
  end
  local count = {}
  for _, i in ipairs((rows(more))) do count[i] = (count[i] or 0) + 1 end
  check.equal({ count[1], count[5], count[8] }, { 1, 1, 5 })
  check.equal(sorted { count[6], count[7] }, { 2, 3 })
  check.equal(rows(set:balance()), rows(set:balance()))
  check.equal({ table.unpack(rows(more), 1, 11) }, { 1, 2, 3, 4, 5, 6, 7, 8, 6, 7, 8 })
  check.equal(#labelled { 1, 1 }:balance(), 2)
  check.fails(function() set:subset { 1, 6 }:balance() end, "no rows of class 3", "only")
end

function tests.test_few_labels()
  local classes = {}
  for i = 1, 40 do classes[i] = i % 4 + 1 end
  local set = labelled(classes)
  local few, rest = set:labels(12)
  check.equal({ #few, #rest, few.classes, rest.classes }, { 12, 28, 4, nil })
  for class = 1, 4 do check.equal(#few:only { class }, 3) end
  local x, y = rest:tensors()
  check.equal({ x.shape, y }, { { 28, 2 }, nil })
  local all = rows(few)
  for _, i in ipairs((rows(rest))) do all[#all + 1] = i end
  check.equal(sorted(all), numbers_to(40))
  check.equal(rows(set:labels(12)), rows(few))
  check.fails(function() set:labels(40) end, "got 40 rows, allowed: 1 to 39")
  check.fails(function() rest:labels(3) end, "needs labels")
end

function tests.test_weights_and_masks_are_carried()
  local x = tensor.ones(4, 3, 2)
  local mask = tensor { { 1, 1, 0 }, { 1, 0, 0 }, { 1, 1, 1 }, { 1, 1, 1 } }
  local y = tensor({ 1, 2, 1, 2 }, { dtype = "int32" })
  local set = data.set(x, y, { weight = tensor { 1, 2, 3, 4 }, mask = mask })
  local function carried(part)
    local _, labels, weight, of = part:tensors()
    return { labels:totable(), weight:totable(), of:totable() }
  end
  local half = { { 1, 1 }, { 2, 4 }, { { 1, 0, 0 }, { 1, 1, 1 } } }
  check.equal(carried(set:only { 2 }), half)
  check.equal(carried(set:filter(function(_, label) return label == 2 end)),
              { { 2, 2 }, half[2], half[3] })
  check.equal(carried(set:cache()), carried(set))
  check.equal(carried(set:map(function(a) return a * 2 end)), carried(set))
  local plain = data.set(x, y)
  check.equal(carried(plain:concat(set:take(1))),
              { { 1, 2, 1, 2, 1 }, { 1, 1, 1, 1, 1 },
                { { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 1 }, { 1, 1, 0 } } })
  check.fails(function() set:map(function(a) return a[1] end) end, "mask of shape")
end

function tests.test_concat_and_cache()
  local a, b = labelled { 1, 2 }, labelled { 3, 1, 1 }
  local both = a:concat(b, a)
  check.equal({ rows(both) }, { { 1, 2, 1, 2, 3, 1, 2 }, { 1, 2, 3, 1, 1, 1, 2 } })
  check.equal(both.classes, 3)
  check.equal({ rows(a:concat()) }, { rows(a) })
  check.equal({ rows(both:subset { 7, 3 }:cache()) }, { { 2, 1 }, { 2, 3 } })
  local scaled = b:normalize()
  check.equal(scaled:cache():tensors():totable(), scaled:tensors():totable())
  check.fails(function() a:concat(data.set(tensor.zeros(2, 3))) end, "features 2", "of 3")
  check.fails(function() a:concat(data.set(tensor.zeros(2, 2))) end, "targets")
  check.fails(function() a:concat(3) end, "data set")
  local colours = {}
  for i, one in ipairs { "blue", "green" } do
    colours[i] = check.csv(("c,v\n%s,1\nred,2\n"):format(one), { categorical = "c" })
    check.equal(#colours[i], 2) -- is read now: the next has its file
  end
  check.fails(function() colours[1]:concat(colours[2]) end,
    'concat: feature 1 is "c=blue" in csv, "c=green" in csv')
  check.equal(#colours[1]:concat(colours[1]), 4)
  check.fails(function() a:concat(a:subset {}) end, "data set is empty")
  local drawn = data.set(tensor.zeros(2, 4, 4)):transform(data.random_flip())
  for _, f in ipairs { function() drawn:cache() end, function() drawn:concat(drawn) end,
                       function() drawn:map(function(x) return x end) end } do
    check.fails(f, "data.random_flip", "draws anew")
  end
  check.equal(#drawn:filter(function() return true end), 2)
end

function tests.test_map_gives_rows()
  local set = labelled { 1, 2, 2 }
  local seen = {}
  local twice = set:map(function(x, y)
    seen[#seen + 1] = y
    return x * 2
  end)
  check.equal({ seen, { rows(twice) } }, { { 1, 2, 2 }, { { 2, 4, 6 }, { 1, 2, 2 } } })
  local sums = set:map(function(x, y) return x:sum(), x:sum():item() + y end)
  check.equal(sums.features, {})
  local x, y = sums:tensors()
  check.equal({ x:totable(), y:totable(), sums.classes }, { { 2, 4, 6 }, { 3, 6, 8 }, nil })
  local other = set:map(function(_, label) return 1.5, 4 - label end)
  x, y = other:tensors()
  check.equal({ x:totable(), y:totable(), other.classes }, { { 1.5, 1.5, 1.5 }, { 3, 2, 2 }, 3 })
  local n = 0
  check.fails(function()
    set:map(function()
      n = n + 1
      return tensor.zeros(n)
    end)
  end, "for row 2", "2 of real", "1 of real")
  check.fails(function() set:map(function() return "a" end) end, "row 1", "a string")
  check.fails(function() set:map(function() error "mine" end) end, "mine")
  for _, f in ipairs { function(x) return x, 1 << 40 end, function() return -1 << 32 end } do
    check.fails(function() set:map(f) end, "set.map: for row 1", "32 bits")
  end
  check.fails(function() set:map(function(x) return x, 0 end) end, "set.map: label 0 in row 1")
  check.fails(function() set:subset {}:map(function(a) return a end) end, "data set is empty")
  check.fails(function() set:map(function(a, b) return a, b == 1 and 1 or nil end) end, "row 2")
end

function tests.test_filter_keeps_rows()
  local set = labelled { 1, 2, 2, 3 }
  check.equal({ rows(set:filter(function(_, y) return y == 2 end)) }, { { 2, 3 }, { 2, 2 } })
  check.equal({ rows(set:filter(function(x) return x[1]:item() > 3 end)) }, { { 4 }, { 3 } })
  check.equal(#set:filter(function() return false end), 0)
  check.fails(function() set:filter(function() return 1 end) end, "row 1", "true or false")
  check.fails(function() set:filter(function() end) end, "true or false")
  local two = data.set({ tensor { 1, 2 }, tensor { { 3 }, { 4 } } }, tensor { 5, 6 })
  local seen = {}
  two:filter(function(a, b, y)
    seen[#seen + 1] = { a, b:totable(), y }
    return true
  end)
  check.equal(seen, { { 1, { 3 }, 5 }, { 2, { 4 }, 6 } })
end

-- Trials know sets that were made of others: they run once, and again to the same bytes.
function tests.test_trials_know_what_was_made()
  local path = check.file("made.lua", [[
    local set = data.gaussians { n = 60, classes = 4 }
    local two = set:only { 1, 3 }
    local sets = { mixed = two:transform(data.mixup(0.5)),
                   joined = two:concat(two:take(10)):one_hot(),
                   mapped = two:map(function(x, y) return x * 2, y end):one_hot() }
    experiment {
      factors = { kind = { "mixed", "joined", "mapped" } }, baseline = { kind = "mixed" },
      seeds = 1, metric = "loss",
      trial = function(c, run)
        return train.fit(nn.Sequential { nn.Dense(2) }, sets[c.kind],
          { loss = "categorical_crossentropy", run = run })
      end,
    }]])
  local _, err, status = check.runner { "--jobs", "1", path }
  check.equal({ status, err:match "0 done, 0 failed, 3 to run" ~= nil }, { 0, true }, err)
  _, err = check.runner { "--jobs", "1", path }
  check.yes(err:find("3 done, 0 failed, 0 to run", 1, true) ~= nil, err)
  local out, told, code = check.runner { "verify", "--sample", "all", path }
  check.equal(code, 0, told)
  check.yes((out .. told):find("3 of 3 trials came to the same digest", 1, true) ~= nil, out)
end

check.run(tests)
