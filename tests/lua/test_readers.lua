-- Readers of data sets as scripts see them: csv, text, cifar10.

local check = dofile "tests/check.lua"
local tests = {}

local csv, refused = check.csv, check.csv_fails

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
  refused("a,b\n3,4\n", { header = false }, 'column 1 ("1"): text', '"a" in line 1')
  refused("a,b\n", nil, "t.csv: has a header and no rows")
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
  refused("a,b\n1,2\n3\n", nil, "line 3", "only 1 fields", "has 2")
  refused("a,b\n1,2\n3,4,5\n", nil, "line 3", "more than 2")
  refused("a,b\n1,x\n", nil, 'column 2 ("b"): text in 1 of 1 rows, the first "x" in line 2',
    'categorical = {"b"}', 'ignore = {"b"}')
  refused("a,b\n1,2\n3,x\n", { target = "b" }, "1 of 2 rows among numbers", '"x" in line 3')
  refused("a,b\n1,x\n3,4\n", { target = "b" }, "1 of 2 rows among numbers", '"x" in line 2')
  for _, odd in ipairs { "inf", "0x10", "1e", "--1", "1 2", "NAN", "N/A" } do
    refused("a,b\n1," .. odd .. "\n", nil, 'column 2 ("b"): text in 1 of 1', odd)
  end
  refused("a\n1e999\n", nil, 'line 2, column 1 ("a")', "too large")
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

-- A text is a name, a number a place, whatever the names look like.
function tests.test_csv_names_and_places()
  local odd = "0,1,2,3\n10,11,12,13\n20,21,22,23\n"
  local function target(text, column, header)
    local _, y = csv(text, { target = column, header = header }):tensors()
    return y:totable()
  end
  check.equal(target(odd, 3, true), { 12, 22 })
  check.equal(target(odd, "3", true), { 13, 23 })
  check.equal(target(odd, "3"), { 13, 23 })
  check.equal(target(odd, 3), { 2, 12, 22 })
  check.equal(target(odd, { -1, 1 }, true), { { 13, 10 }, { 23, 20 } })
  check.equal(target("2019,2020\n1,2\n3,4\n", "2020"), { 2, 4 })
  check.equal(target("a,2020\n1,2\n", 2, true), { 2 })
  local options = { header = true, ignore = { "3", 1 } }
  check.equal(csv(odd, options).feature_names, { "1", "2" })
  check.equal(csv(odd, { categorical = "3", ignore = { 1, 2, 3 } }).feature_names,
    { "3=13", "3=23" })
  refused(odd, { header = true, target = 0 }, "no column 0", "1 to 4")
  refused(odd, { header = true, target = 1.5 }, "no column 1.5")
  refused("a,b\n1,2\n", { target = "2" }, 'no column "2"', "without quotes, is a place")
end

function tests.test_csv_a_column_once()
  local text = "a,b,c\n1,2,30\n4,5,60\n"
  for _, option in ipairs { "target", "categorical", "ignore" } do
    refused(text, { [option] = { "b", "b" } }, ('option "%s": got "b" twice'):format(option))
    refused(text, { [option] = { 2, -2 } }, option, 'column 2 ("b") is there twice')
    refused(text, { [option] = { "b", 2 } }, option, 'column 2 ("b") is there twice')
    refused("a,a,c\n1,2,3\n", { [option] = "a" }, option,
      'columns 1 and 2 are both called "a"', option .. " = 2")
  end
  refused(text, { na_values = { -9, -9 } }, 'option "na_values": got -9 twice')
  refused(text, { target = "b", ignore = 2 }, '"b" is ignored and a target')
  refused(text, { categorical = 1, ignore = "a" }, '"a" is ignored and categorical')
  local _, y = csv("a,a,c\n1,2,3\n", { target = 2 }):tensors()
  check.equal(y:totable(), { 2 })
  local many = {}
  for i = 1, 60000 do many[i] = "b" end
  refused(text, { target = many }, "twice")
end

function tests.test_csv_another_separator()
  refused("a;b\n1;2\n", { target = "b" }, 'no column "b"; there is one column, "a;b"',
    'separated by ";": delimiter = ";"')
  refused("a;b\n1;2\n", nil, 'delimiter = ";"')
  refused("a\tb\n1\t2\n", { target = 2 }, [[delimiter = "\t"]])
  refused("1|2\n3|4\n", { header = false }, 'delimiter = "|"')
  refused("a,b\n1,2\n", { delimiter = ";" }, 'delimiter = ","')
end

function tests.test_csv_trains_on_numbers()
  local set = csv("1,2,3\n2,3,5\n3,4,7\n4,6,10\n", { target = 3 })
  local net = nn.Sequential { nn.Dense(1), nn.Lambda(function(x) return x:mean(2) end) }
  train.fit(net, set, { loss = "mse", optimizer = optim.SGD { lr = 0.02 }, epochs = 200 })
  check.yes(net:evaluate(set, { loss = "mse" }).loss < 0.05)
end

function tests.test_fann_files()
  local path = check.file("xor.data", "4 2 1\n-1 -1\n-1\n-1 1\n1\n1 -1\n1\n1 1\n-1\n")
  local x, y = data.fann(path):tensors()
  check.equal({ x:totable(), y:totable() },
              { { { -1, -1 }, { -1, 1 }, { 1, -1 }, { 1, 1 } }, { { -1 }, { 1 }, { 1 }, { -1 } } })
  check.fails(function() return #data.fann(path, { labels = true }) end, "one output")
  local set = data.fann(check.file("few.data", "2 1 3  7 0 0 1  8 1 0 0"), { labels = true })
  x, y = set:tensors()
  check.equal({ x:totable(), y:totable(), set.classes }, { { { 7 }, { 8 } }, { 3, 1 }, 3 })
  check.fails(function() return #data.fann "no.data" end, "no.data")
end

check.run(tests)
