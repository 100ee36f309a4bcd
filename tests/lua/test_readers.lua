-- Readers of data sets as scripts see them: csv, text, cifar10.

local check = dofile "tests/check.lua"
local tests = {}

local function csv(text, options) return data.csv(check.file("t.csv", text), options) end

-- Reading the set must fail with an error that says all the parts.
local function refused(text, options, ...)
  check.fails(function() return #csv(text, options) end, ...)
end

local iris = "sepal,petal,species\n5.1,1.4,setosa\n7.0,4.7,versicolor\n5.9,5.1,virginica\n" ..
  "4.9,1.4,setosa\n"

function tests.test_csv_with_names_of_classes()
  local set = csv(iris, { target = "species" })
  local x, y = set:tensors()
  check.near(x, { 5.1, 1.4, 7, 4.7, 5.9, 5.1, 4.9, 1.4 })
  check.equal(y:totable(), { 1, 2, 3, 1 })
  check.equal(y.dtype, "int32")
  check.equal(set.class_names, { "setosa", "versicolor", "virginica" })
  check.equal(set.feature_names, { "sepal", "petal" })
  check.equal({ set.classes, set.features }, { 3, { 2 } })
  check.equal(csv(iris, { target = -1 }).class_names[2], "versicolor")
  check.equal(csv(iris, { target = 3 }).class_names[2], "versicolor")
end

function tests.test_csv_targets_of_numbers()
  local set = csv("1,2,3\n4,5,6\n", { target = 3 })
  local x, y = set:tensors()
  check.near(x, { 1, 2, 4, 5 })
  check.near(y, { 3, 6 })
  check.equal({ y.dtype, set.classes, set.feature_names }, { "real", nil, { "1", "2" } })
  local _, both = csv("1,2,3\n4,5,6\n", { target = { 3, 1 } }):tensors()
  check.near(both, { 3, 1, 6, 4 })
  check.equal(both.shape, { 2, 2 })
  local x_alone, none = csv("1,2\n3,4"):tensors()
  check.near(x_alone, { 1, 2, 3, 4 })
  check.equal(none, nil)
end

function tests.test_csv_numbers_as_classes_are_sorted_by_value()
  local set = csv("x,d\n1,10\n2,9\n3,10\n4,-1", { target = "d", categorical = "d" })
  local _, y = set:tensors()
  check.equal(set.class_names, { "-1", "9", "10" })
  check.equal(y:totable(), { 3, 2, 3, 1 })
end

function tests.test_csv_categories()
  local text = "color,n\nred,1\nblue,2\nred,3\n"
  local set = csv(text, { categorical = { "color" } })
  check.near(set:tensors(), { 0, 1, 1, 1, 0, 2, 0, 1, 3 })
  check.equal(set.feature_names, { "color=blue", "color=red", "n" })
  set = csv(text, { categorical = "color", encoding = "code" })
  check.near(set:tensors(), { 2, 1, 1, 2, 2, 3 })
  check.near(csv(text, { ignore = "color" }):tensors(), { 1, 2, 3 })
end

function tests.test_csv_header()
  check.equal(#csv "1,2\n3,4\n", 2)
  check.equal(#csv "a,b\n3,4\n", 1)
  check.equal(#csv("1,2\n3,4\n", { header = true }), 1)
  check.equal(csv("2019,2020\n3,4\n", { header = true }).feature_names, { "2019", "2020" })
  check.equal(#csv("x,7\n1,2\n", { target = "x" }), 1)
  refused("a,b\n3,4\n", { header = false }, "line 1, column 1", '"a" is no number')
  check.equal(#csv "a,b\n", 0)
end

function tests.test_csv_quotes_ends_and_marks()
  local set = csv('\xEF\xBB\xBFx,"the ""y"", quoted"\r\n"1", a \r\n\r\n2,"b\nc"\r\n 3 ,"a"',
    { target = 'the "y", quoted' })
  local x, y = set:tensors()
  check.near(x, { 1, 2, 3 })
  check.equal(set.class_names, { "a", "b\nc" })
  check.equal(y:totable(), { 1, 2, 1 })
  check.near(csv("1\r2\r", { header = false }):tensors(), { 1, 2 })
  check.near(csv("1;-.5\n3;1e2", { delimiter = ";" }):tensors(), { 1, -0.5, 3, 100 })
  check.near(csv("1\t2\n3\t4", { sep = "\t" }):tensors(), { 1, 2, 3, 4 })
  refused('x,y\n1,"a\n2,b\n', nil, "line 2", "never closed")
  refused('x,y\n1,"a"b\n', nil, "line 2", "behind a closing quote")
end

function tests.test_csv_errors_name_line_and_column()
  refused("a,b\n1,2\n\n3,\n", nil, "t.csv: line 4, column 2 (\"b\")", "missing")
  refused("a,b\n1,2\n3\n", nil, "line 3", "only 1 fields", "has 2")
  refused("a,b\n1,2\n3,4,5\n", nil, "line 3", "more than 2")
  refused("a,b\n1,x\n", nil, 'line 2, column 2 ("b")', '"x" is no number',
    'categorical = {"b"}', 'ignore = {"b"}')
  refused("a,b\n1,2\n3,x\n", { target = "b" }, "line 3, column 2", "among numbers")
  refused("a,b\n1,x\n3,4\n", { target = "b" }, "line 3, column 2", "among numbers")
  refused("a\n1;2\n", nil, "is the delimiter ';'")
  for _, odd in ipairs { "nan", "inf", "0x10", "1e", "--1", "1 2", "NA" } do
    refused("a,b\n1," .. odd .. "\n", nil, "line 2, column 2", "is no number")
  end
  refused("a\n1e999\n", nil, "too large")
  refused("", nil, "t.csv: is empty")
  refused("a\n1\0\n", nil, "line 2", "zero byte")
  refused("a\n\xff\n", nil, "line 2", "not UTF-8")
  refused("\xff\xfea\0", nil, "UTF-16")
  refused("y\na\nb\n", { target = "y" }, "no columns of features")
  check.fails(function() return #data.csv(check.temp .. "/none.csv") end, "data.csv", "none.csv",
    "cannot be read")
end

function tests.test_csv_options_are_checked()
  refused(iris, { target = "specis" }, 'option "target"', 'did you mean "species"')
  refused(iris, { target = 4 }, "no column 4", "1 to 3")
  refused(iris, { target = "species", ignore = "species" }, "ignored and a target")
  refused("a,a\n1,2\n", { target = "a" }, "two columns")
  refused(iris, { target = { "species", "petal" } }, "one target of classes")
  check.fails(function() data.csv("x", { delimiter = ";;" }) end, "delimiter", "one character")
  check.fails(function() data.csv("x", { target = { {} } }) end, "target", "list")
  check.fails(function() data.csv("x", { targt = 1 }) end, 'did you mean "target"')
  check.fails(function() data.csv() end, '"path" is missing')
end

function tests.test_csv_trains()
  local set = csv(iris, { target = "species" })
  local net = nn.Sequential { nn.Dense(3) }
  local history = train.fit(net, set:normalize(), {
    loss = "sparse_categorical_crossentropy", optimizer = optim.Adam { lr = 0.1 }, epochs = 30,
  })
  check.yes(history ~= nil)
  check.yes(net:evaluate(set:normalize(), { metrics = { "accuracy" } }).accuracy == 1)
end

function tests.test_text_windows()
  local path = check.file("t.txt", "abcab é")
  local set = data.text(path, { length = 2 })
  check.equal(set.class_names, { " ", "a", "b", "c", "é" })
  local x, y = set:tensors()
  check.near(x, { 2, 3, 4, 2, 3, 1 })
  check.equal(y:totable(), { 4, 3, 5 })
  x, y = data.text(path, { length = 3, step = 1, predict = "each" }):tensors()
  check.near(x, { 2, 3, 4, 3, 4, 2, 4, 2, 3, 2, 3, 1 })
  check.equal(y:totable(), { { 3, 4, 2 }, { 4, 2, 3 }, { 2, 3, 1 }, { 3, 1, 5 } })
  local other = check.file("u.txt", "bab")
  local same = data.text(other, { length = 2, vocabulary = table.concat(set.class_names) })
  check.near(same:tensors(), { 3, 2 })
  check.equal(same.classes, 5)
  check.equal(x:one_hot(5).shape, { 4, 3, 5 })
end

function tests.test_text_refuses()
  local path = check.file("t.txt", "abc\nx")
  check.fails(function() return #data.text(path, { length = 5 }) end, "5 characters", "take 6")
  check.fails(function() return #data.text(path, { length = 2, vocabulary = "abc\n" }) end,
    "line 2", '"x" (U+0078)')
  check.fails(function() data.text(path, { vocabulary = "\xff" }) end, "vocabulary", "UTF-8")
  check.fails(function() return #data.text(check.file("l.txt", "a\n\xe9t\xe9")) end, "line 2",
    "not UTF-8")
  local each = data.text(path, { length = 1, predict = "each" })
  check.fails(function() each:split(0.5, { stratify = true }) end, "one for each row")
end

local function cifar_file(name, labels)
  local records = {}
  for i, label in ipairs(labels) do
    records[i] = string.char(label) .. string.char(i):rep(1024) .. ("\255"):rep(1024) ..
      ("\0"):rep(1024)
  end
  return check.file(name, table.concat(records))
end

function tests.test_cifar10()
  for i = 1, 5 do cifar_file(("data_batch_%d.bin"):format(i), { i, i + 4 }) end
  local path = cifar_file("test_batch.bin", { 0 })
  local cifar = data.cifar10(check.temp)
  check.equal({ #cifar.train, #cifar.test, cifar.train.features }, { 10, 1, { 3, 32, 32 } })
  local x, y = cifar.train:tensors()
  check.equal(y:totable(), { 2, 6, 3, 7, 4, 8, 5, 9, 6, 10 })
  check.near(x[2]:mean { 2, 3 }, { 2 / 255, 1, 0 })
  check.equal(cifar.class_names[10], "truck")
  check.file("test_batch.bin", check.read(path):sub(1, -2))
  check.fails(function() return #data.cifar10(check.temp).test end, "test_batch.bin",
    "3072 bytes", "truncated")
  cifar_file("test_batch.bin", { 1, 10 })
  check.fails(function() return #data.cifar10(check.temp).test end, "label 10 in record 2")
  check.fails(function() return #data.cifar10(check.temp .. "/none").train end,
    "data_batch_1.bin is not in")
end

check.run(tests)
