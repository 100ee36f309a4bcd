-- Missing values: what counts as one, what becomes of it, and whose means fill it in.

local check = dofile "tests/check.lua"
local tests = {}

local csv, refused = check.csv, check.csv_fails

local passengers = "age,name,fare,sex,y\n22,Braund,7,male,0\n,Cumings,71,female,1\n" ..
  "26,Heikkinen,NA,female,1\n35,Futrelle,53,?,1\n33,Allen,9,male,0\n"

function tests.test_all_columns_are_named_at_once()
  refused(passengers, { target = "y" }, "t.csv: ",
    'column 1 ("age"): 1 of 5 values missing, the first in line 3',
    'column 2 ("name"): text in 5 of 5 rows, the first "Braund" in line 2',
    'column 3 ("fare"): 1 of 5 values missing, the first in line 4',
    'column 4 ("sex"): 1 of 5 values missing, the first in line 5, and text in 4',
    'categorical = {"name", "sex"}', 'ignore = {"name", "sex"}', 'missing = "drop"')
  local wide = ("x,"):rep(200) .. "x\n" .. (","):rep(200) .. "\n"
  refused(wide, { header = true }, "and 189 columns more")
end

function tests.test_what_counts_as_missing()
  for _, text in ipairs { "", '""', "NA", "NaN", "nan", "null", "?", " ? " } do
    refused("a,b\n1," .. text .. "\n2,3\n", nil, 'column 2 ("b"): 1 of 2 values missing')
  end
  refused("a,b\n1,-999\n2,3\n", { na_values = -999 }, "1 of 2 values missing")
  refused("a,b\n1,-999.0\n2,3\n", { na_values = { -999, "none" } }, "1 of 2 values missing")
  refused("a,b\n1,NA\n2,3\n", { na_values = "none" }, "text in 1 of 2 rows")
  refused("a,b\n1,\n2,3\n", { na_values = "none" }, "1 of 2 values missing")
  check.equal(csv("a,b\n1,-999.0\n", { na_values = "-999" }):tensors():totable(), { { 1, -999 } })
  local set = csv("a,c\n1,NA\n2,x\n", { target = "c", na_values = "none" })
  check.equal(set.class_names, { "NA", "x" })
  refused("a,c\n1,NA\n2,x\n", { target = "c" }, "missing", "(a target)")
  check.equal(csv("a,b\n1,\n2,\n", { ignore = "b" }):tensors():totable(), { { 1 }, { 2 } })
end

function tests.test_dropped_rows_are_counted()
  local path = check.file("d.csv", passengers)
  local options = '{ target = "y", ignore = "name", categorical = "sex", missing = "drop" }'
  local code = "local x, y = data.csv(%q, %s):tensors() " ..
    "print(x.shape[1], x:sum():item(), y:sum():item())"
  local out, err = check.runner { "-e", code:format(path, options) }
  check.equal(out, "2\t73.0\t0.0\n")       -- 22 + 7 + 33 + 9, and 1 each for "male"
  check.equal(select(2, err:gsub("3 of 5 rows left out", "")), 1)
  local set = csv("a,c\n1,x\n,y\n3,z\n", { target = "c", missing = "drop" })
  check.equal(set.class_names, { "x", "z" })
  check.equal(select(2, set:tensors()):totable(), { 1, 2 })
  refused("a,b\n1,\n,2\n", { missing = "drop" }, "leaves no row", "each of the 2")
end

function tests.test_means_of_the_set_at_hand()
  local set = csv("a,b\n1,10\n?,30\n3,\n", { missing = "mean" })
  check.near(set:tensors(), { 1, 10, 2, 30, 3, 20 })
  check.near(set:take(2):tensors(), { 1, 10, 1, 30 })
  check.near(set:subset({ 2, 3 }):tensors(), { 3, 30, 3, 30 })
  for x in set:batches(3, { shuffle = "none" }) do check.near(x, { 1, 10, 2, 30, 3, 20 }) end
  local none = set:subset { 2 }
  check.fails(function() none:tensors() end, 'feature 1 ("a")', "no value in any of the 1")
end

-- Of a category: the share of each of its values.
function tests.test_means_of_categories()
  local text = "c,n\nx,1\ny,2\n,3\nx,4\n"
  local set = csv(text, { categorical = "c", missing = "mean" })
  check.near(set:tensors(), { 1, 0, 1, 0, 1, 2, 2 / 3, 1 / 3, 3, 1, 0, 4 })
  refused(text, { categorical = "c", missing = "mean", encoding = "code" }, 'column 1 ("c")',
    "have no mean")
  refused(text, { target = "c", missing = "mean" }, 'column 1 ("c")', "(a target)")
  refused("a,b\n,1\n,2\n", { missing = "mean" }, 'column 1 ("a"): 2 of 2', "have no mean")
end

-- 20 rows: a is missing in every fourth, and differs widely between first and last rows.
local function drifting()
  local lines = { "a,b,y" }
  for i = 1, 20 do
    lines[#lines + 1] = ("%s,%d,%d"):format(i % 4 == 0 and "" or i * i, i % 3, i % 2)
  end
  return table.concat(lines, "\n")
end

-- Rows where b's mark is not needed: mean of a over the rows i of the list that have one.
local function mean_of(rows)
  local sum, n = 0, 0
  for _, i in ipairs(rows) do
    if i % 4 ~= 0 then sum, n = sum + i * i, n + 1 end
  end
  return sum / n
end

local function from_to(first, last)
  local rows = {}
  for i = first, last do rows[#rows + 1] = i end
  return rows
end

function tests.test_the_first_part_of_a_split_decides()
  local set = csv(drifting(), { target = "y", missing = "mean" })
  local first, second = set:split(0.5, { shuffle = false })
  local mean = mean_of(from_to(1, 10))
  check.near(first:tensors()[4][1], mean)
  for row = 2, 10, 4 do check.near(second:tensors()[row][1], mean) end      -- rows 12, 16, 20
  local third, fourth = second:split(0.5, { shuffle = false })
  check.near(third:tensors()[2][1], mean)
  check.near(fourth:tensors()[1][1], mean)
  check.near(second:take(2):tensors()[2][1], mean)
  check.near(set:tensors()[4][1], mean_of(from_to(1, 20)))                  -- is as it was
end

function tests.test_normalize_takes_its_means_along()
  local set = csv(drifting(), { target = "y", missing = "mean" })
  local train_set, other = set:subset(from_to(1, 10)), set:subset(from_to(11, 20))
  local normal, transform = train_set:normalize()
  local x = normal:tensors()
  check.near(x:mean { 1 }, { 0, 0 }, 64 * check.eps)
  check.near((x * x):mean { 1 }, { 1, 1 }, 64 * check.eps)
  check.near(x[4][1], 0, 64 * check.eps)
  check.near(other:normalize(transform):tensors()[2][1], 0, 64 * check.eps)
  local a = set:split(0.5, { shuffle = false })
  check.near(a:normalize():tensors(), x)
end

function tests.test_impute()
  local set = csv(drifting(), { target = "y", missing = "mean" })
  local train_set, other = set:subset(from_to(1, 10)), set:subset(from_to(11, 20))
  check.near(other:impute(train_set):tensors()[2][1], mean_of(from_to(1, 10)))
  check.near(other:impute():tensors()[2][1], mean_of(from_to(11, 20)))
  check.near(other:impute():impute(train_set):tensors()[2][1], mean_of(from_to(1, 10)))
  local whole = data.csv(check.file("w.csv", "a,b\n1,2\n3,4\n"))
  check.near(whole:impute():tensors(), { 1, 2, 3, 4 })
  local gap = data.csv(check.file("g.csv", "a,b\n,2\n3,4\n"), { missing = "mean" })
  check.near(gap:impute(whole):tensors(), { 2, 2, 3, 4 })
  check.fails(function() gap:impute(csv("1,2,3\n")):tensors() end, "missing values", "features")
end

-- Losses tell whose means were filled in: this net gives feature a itself.
local function first_feature()
  local net = nn.Sequential {
    nn.Dense(1, { bias = false, init = "zeros" }),
    nn.Lambda(function(x) return x:mean(2) end),
  }
  net:build { 2 }
  net:load { ["dense_1.weight"] = tensor { { 1 }, { 0 } } }
  return net
end

local function mse_of(rows, mean)
  local sum = 0
  for _, i in ipairs(rows) do sum = sum + ((i % 4 == 0 and mean or i * i) - i % 2) ^ 2 end
  return sum / #rows
end

function tests.test_fit_fills_in_what_it_measures_on()
  local set = csv(drifting(), { target = "y", missing = "mean" })
  local train_set, other = set:subset(from_to(1, 10)), set:subset(from_to(11, 20))
  local history = train.fit(first_feature(), train_set, {
    loss = "mse", optimizer = optim.SGD { lr = 1e-12 }, epochs = 1, batch_size = 20,
    validation_data = other, test = other,
  })
  local mean = mean_of(from_to(1, 10))
  check.near(history.loss[1], mse_of(from_to(1, 10), mean), 1e-3)
  check.near(history.val_loss[1], mse_of(from_to(11, 20), mean), 1e-3)
  check.near(history.test_loss, mse_of(from_to(11, 20), mean), 1e-3)
end

-- Targets are powers of 2, so that their sum shows which rows fit has split off.
function tests.test_fit_splits_before_it_fills_in()
  local lines = { "a,b,y" }
  for i = 1, 20 do
    lines[i + 1] = ("%s,0,%d"):format(i % 4 == 0 and "" or i * i, 1 << (i - 1))
  end
  local set = csv(table.concat(lines, "\n"), { target = "y", missing = "mean" })
  local n_gaps = 0
  for _ = 1, 3 do
    local h = train.fit(first_feature(), set, { loss = "mse", optimizer = optim.SGD { lr = 0 },
      epochs = 1, batch_size = 20, validation = 0.25, verbose = false, record = false,
      metrics = { { function(_, y) return y:sum() end, name = "rows" },
        { function(p) return p:sum() end, name = "total" } } })
    local kept, held = {}, {}
    for i = 1, 20 do
      local to = math.tointeger(h.val_rows[1]) >> (i - 1) & 1 == 1 and held or kept
      to[#to + 1] = i
    end
    check.equal(#held, 5)
    local mean = mean_of(kept)
    local function total(rows)
      local sum = 0
      for _, i in ipairs(rows) do sum = sum + (i % 4 == 0 and mean or i * i) end
      return sum
    end
    for _, i in ipairs(held) do n_gaps = n_gaps + (i % 4 == 0 and 1 or 0) end
    check.near(h.total[1], total(kept), 1e-2)
    check.near(h.val_total[1], total(held), 1e-2)
  end
  check.yes(n_gaps > 0)
end

-- Means are sums in double, which numbers of a double can exceed.
function tests.test_sums_beyond_a_double()
  if check.eps ~= 2 ^ -52 then return end
  local set = csv("a\n1e308\n1e308\n?\n", { missing = "mean" })
  check.fails(function() set:tensors() end, 'feature 1 ("a")', "no finite sum over the 3 rows")
end

function tests.test_evaluate_must_be_told()
  local set = csv(drifting(), { target = "y", missing = "mean" })
  local net = first_feature()
  check.fails(function() net:evaluate(set, { loss = "mse" }) end, "missing", "set:impute(train)")
  check.near(net:evaluate(set:impute(), { loss = "mse" }).loss,
    mse_of(from_to(1, 20), mean_of(from_to(1, 20))), 1e-5)
  local _, second = set:split(0.5, { shuffle = false })
  check.near(net:evaluate(second, { loss = "mse" }).loss,
    mse_of(from_to(11, 20), mean_of(from_to(1, 10))), 1e-5)
end

check.run(tests)
