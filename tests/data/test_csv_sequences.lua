-- Tables of sequences: a row for each step, or for each sequence; lengths, masks, errors by line.
local check = dofile "tests/check.lua"
local tests = {}

local steps = [[
id,a,b,class
s1,1,10,no
s2,4,40,yes
s1,2,20,no
s2,5,50,yes
s1,3,30,no
"s,3",6,60,no
]]

function tests.test_a_row_for_each_step()
  local set = check.csv(steps, { sequence = "id", target = "class" })
  local x, y, weight, mask = set:tensors()
  check.equal({ #set, set.features, set.feature_names, set.class_names },
    { 3, { 3, 2 }, { "a", "b" }, { "no", "yes" } })
  check.equal(x:totable(), { { { 1, 10 }, { 2, 20 }, { 3, 30 } },
    { { 4, 40 }, { 5, 50 }, { 0, 0 } }, { { 6, 60 }, { 0, 0 }, { 0, 0 } } })
  check.equal({ y:totable(), weight, mask:totable() },
    { { 1, 2, 1 }, nil, { { 1, 1, 1 }, { 1, 1, 0 }, { 1, 0, 0 } } })
end

function tests.test_targets_of_steps()
  local text = "id,a,t,w\n7,1,1,1\n7,2,2,3\n9,3,3,1\n"
  local set = check.csv(text, { sequence = 1, target = "t", weight = "w", each_step = true })
  local x, y, weight, mask = set:tensors()
  check.equal(x:totable(), { { { 1 }, { 2 } }, { { 3 }, { 0 } } })
  check.equal({ y:totable(), weight:totable(), mask:totable() },
    { { { 1, 2 }, { 3, 0 } }, { { 1, 3 }, { 1, 0 } }, { { 1, 1 }, { 1, 0 } } })
  check.csv_fails(text, { sequence = 1, target = "t" }, "line 3", "another target", '"7"',
    "each_step")
  check.csv_fails(text, { sequence = 1, ignore = "t", weight = "w" }, "line 3", "another weight")
end

function tests.test_categories_and_rows_left_out()
  local text = "id,kind,v\n1,x,1\n1,y,NA\n2,y,3\n"
  local set = check.csv(text, { sequence = "id", missing = "drop", categorical = "kind" })
  local x, _, _, mask = set:tensors()
  check.equal(x:totable(), { { { 1, 0, 1 } }, { { 0, 1, 3 } } })
  check.equal(mask:totable(), { { 1 }, { 1 } })
  check.csv_fails("id,v\n1,2\n,3\n", { sequence = "id" }, "line 3", "missing")
end

local series = "a;b;class\n1 2  3;4 5 6;yes\n7;8;no\n"

function tests.test_a_row_for_each_sequence()
  local set = check.csv(series, { inside = " ", delimiter = ";", target = "class" })
  local x, y, _, mask = set:tensors()
  check.equal(x:totable(), { { { 1, 4 }, { 2, 5 }, { 3, 6 } }, { { 7, 8 }, { 0, 0 }, { 0, 0 } } })
  check.equal({ y:totable(), mask:totable(), set.feature_names },
    { { 2, 1 }, { { 1, 1, 1 }, { 1, 0, 0 } }, { "a", "b" } })
  local other = check.csv("1|2,0\n3 | -4 |5,1\n", { inside = "|", target = 2 })
  check.equal((other:tensors()):totable(), { { { 1 }, { 2 }, { 0 } }, { { 3 }, { -4 }, { 5 } } })
  local kept = check.csv("a,b,c\n1 2 3,,1\n,,1\n4,5,0\n6 7,8 9,1\n1 2 3 4,1 2 3 4,\n",
    { inside = " ", target = "c", missing = "drop" })
  check.equal((kept:tensors()):totable(), { { { 4, 5 }, { 0, 0 } }, { { 6, 8 }, { 7, 9 } } })
end

-- A first row of numbers, several in a field, is one of data.
function tests.test_sequences_without_a_header()
  local set = check.csv("1 2,3 4,yes\n5,6,no\n", { inside = " ", target = -1 })
  check.equal({ #set, set.feature_names }, { 2, { "1", "2" } })
  check.equal((set:tensors()):totable(), { { { 1, 3 }, { 2, 4 } }, { { 5, 6 }, { 0, 0 } } })
  local named = check.csv("1 year,b c,t\n5 6,6 7,no\n", { inside = " ", target = "t" })
  check.equal({ #named, named.feature_names }, { 1, { "1 year", "b c" } })
end

function tests.test_errors_name_the_line()
  local options = { inside = " ", delimiter = ";", target = "class" }
  check.csv_fails("a;b;class\n1 2;4 5;yes\n7 8;8;no\n", options, "line 3", 'column 2 ("b")',
    "1 steps", '"a" has 2')
  check.csv_fails("a;b;class\n1 2;4 x5;yes\n", options, "line 2", 'column 2 ("b")',
    'step 2 is "x5"')
  check.csv_fails("a;b;class\n1;;yes\n", options, "line 2", "missing")
  check.csv_fails("a,t\n1||2,1\n", { inside = "|", target = "t" }, "line 2", 'step 2 is ""')
  check.csv_fails('a;t\n" ";1\n', { inside = " ", delimiter = ";", target = "t" }, "line 2",
    "no steps")
end

function tests.test_options_that_contradict()
  local function refused(options, ...)
    check.fails(function() data.csv("x", options) end, ...)
  end
  refused({ sequence = "a", inside = " " }, '"sequence" and "inside"')
  refused({ sequence = { "a", "b" } }, '"sequence"', "2 columns")
  refused({ sequence = "a", missing = "mean" }, "mean")
  refused({ inside = " ", categorical = "a" }, "categorical")
  refused({ inside = ",", delimiter = "," }, "delimiter")
  refused({ inside = "ab" }, '"inside"', '"ab"')
  refused({ each_step = true }, "each_step")
  check.csv_fails(steps, { sequence = "id", target = "id" }, "the sequence and a target")
  check.csv_fails(steps, { sequence = "ip" }, 'did you mean "id"')
end

-- Padded steps change nothing: a net that is trained on sequences of several lengths.
function tests.test_they_train()
  local rows = { "id,v,up" }
  for i = 1, 40 do
    local up = i % 2
    for k = 1, 2 + i % 4 do rows[#rows + 1] = ("%d,%g,%s"):format(i, up == 1 and k or -k, up) end
  end
  local set = check.csv(table.concat(rows, "\n"), { sequence = "id", target = "up" })
  local net = nn.Sequential { nn.LSTM(4), nn.Dense(1) }
  train.fit(net, set, { loss = "mse", optimizer = optim.Adam { lr = 0.05 }, epochs = 10,
    verbose = false })
  check.yes(net:evaluate(set, { loss = "mse" }).loss < 0.1)
end

check.run(tests)
