-- Every mistake is a clear error and a non-zero exit.

local check = dofile "tests/check.lua"
local tests = {}

local fails = check.script_fails

function tests.test_unknown_option()
  fails([[nn.Dense(3, { actvation = "relu" })]], 1, 'nn.Dense', 'actvation',
    'did you mean "activation"')
end

function tests.test_unknown_name()
  fails([[nn.Dense(3, { activation = "rellu" })]], 1, "rellu", 'did you mean "relu"')
  fails([[nn.Dense(3, { init = "he_norma" })]], 1, 'did you mean "he_normal"')
end

function tests.test_wrong_type()
  fails([[nn.Dense("many")]], 1, "units", '"many"', "an integer")
  fails([[nn.Dense(3.5)]], 1, "units", "3.5", "an integer")
  fails([[nn.Dense(3, { bias = 1 })]], 1, "bias", "true or false")
  fails([[nn.Dense()]], 1, "units", "missing")
  fails([[nn.Dropout(1.5)]], 1, "rate", "1.5")
end

function tests.test_wrong_rate()
  fails([[optim.SGD { lr = 0 / 0 }]], 1, "lr", "nan")
  fails([[optim.SGD { lr = -0.1 }]], 1, "lr", "-0.1")
  fails([[optim.Adam { lr = math.huge }]], 1, "lr", "inf")
  fails([[optim.SGD { lr = 1e10 }]], 1, "got 1e+10, allowed: a number from 0 to 1e+09")
  fails([[optim.SGD { lr = -1 }]], 1, "got -1, allowed: a number from 0 to 1e+09")
  fails([[nn.Dense(1e10)]], 1, "allowed: an integer from 1 to 1e+09")
  fails([[nn.BatchNorm { momentum = 0.99 }]], 1, "momentum", "0.99", "Keras")
end

local fit = [[
  local set = data.moons { n = 20 }
  local net = nn.Sequential { nn.Dense(4), nn.Dense(2) }
  local options = { loss = "sparse_categorical_crossentropy", optimizer = optim.SGD { lr = 0.1 } }
]]

function tests.test_zero_batch_size()
  fails(fit .. [[options.batch_size = 0; train.fit(net, set, options)]], 1, "batch_size", "got 0")
end

function tests.test_unknown_fit_option()
  fails(fit .. [[options.epoch = 3; train.fit(net, set, options)]], 1, 'did you mean "epochs"')
end

function tests.test_shape_mismatch_names_layer_and_both_shapes()
  fails([[
    local net = nn.Sequential { nn.Dense(300), nn.Dense(10) }
    net:build { 784 }
    print(net(tensor.zeros(32, 100)))]], 1, "dense_1", "784", "32x100")
  fails([[
    local net = nn.Sequential { nn.Dense(3) }
    print(loss.mse(net(tensor.zeros(2, 4)), tensor.zeros(2, 5)))]], 1, "2x3", "2x5")
end

function tests.test_label_out_of_range()
  fails([[
    local net = nn.Sequential { nn.Dense(3) }
    local labels = tensor({ 1, 4 }, { dtype = "int32" })
    local l = loss.sparse_categorical_crossentropy(net(tensor.zeros(2, 5)), labels)
    print(l)]], 1, "script.lua:3", "4", "1 to 3")
  fails([[
    local net = nn.Sequential { nn.Dense(3) }
    local labels = tensor({ 0, 2 }, { dtype = "int32" })
    print(loss.sparse_categorical_crossentropy(net(tensor.zeros(2, 5)), labels))]], 1,
    "count from 1")
end

function tests.test_plain_tensor_needs_from_logits()
  fails([[print(loss.binary_crossentropy(tensor { { 0.5 } }, tensor { { 1 } }))]], 1,
    "from_logits")
end

function tests.test_empty_data_set()
  fails([[
    local set = data.set(tensor.zeros(0, 2), tensor({}, { dtype = "int32" }))
    train.fit(nn.Sequential { nn.Dense(2) }, set, { loss = "mse" })]], 1, "empty")
end

function tests.test_missing_data_files()
  local path = check.file("d.lua", [[print(#data.fashion_mnist().train)]])
  local _, err, status = check.runner({ path }, "RUNNER_DATA=nowhere")
  check.equal(status, 1)
  for _, part in ipairs { "dataset-fashion-mnist", "RUNNER_DATA", "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz" } do
    check.yes(err:find(part, 1, true) ~= nil)
  end
end

function tests.test_truncated_data_file()
  check.file("images", "\0\0\8\3\0\0\0\2\0\0\0\2\0\0\0\2" .. "\1\2\3")
  check.file("labels", "\0\0\8\1\0\0\0\2\0\1")
  fails([[print(#data.idx { images = "images", labels = "labels" })]], 1, "images", "truncated")
end

function tests.test_undeclared_global()
  fails([[print(learning_rat)]], 1, "undeclared global", "learning_rat")
  fails([[count = 1]], 1, "count", "local")
  fails([[nn = 1]], 1, "nn", "local")
  fails([[tensr.zeros(1)]], 1, 'did you mean "tensor"')
end

function tests.test_syntax_error()
  fails([[local x = = 1]], 1, "script.lua:1", "unexpected symbol")
end

function tests.test_directory_or_nothing_as_script()
  local _, err, status = check.runner { check.temp }
  check.equal(status, 2)
  check.yes(err:find("directory", 1, true) ~= nil)
  local _, _, missing = check.runner { "no-such.lua" }
  check.equal(missing, 2)
end

function tests.test_non_finite_loss_names_step_layer_and_op()
  fails([[
    local bad = nn.Lambda(function(x) return (x * 0 - 1):log() end)
    local net = nn.Sequential { nn.Dense(4), bad, nn.Dense(1) }
    local step = train.step(function(x, y) return loss.mse(net(x), y) end, net,
      optim.SGD { lr = 0.1 })
    step(tensor { { -1, -2 } }, tensor { { 0 } })]], 1, "step 1", "lambda_1", "log")
end

function tests.test_non_finite_loss_keeps_the_history()
  fails([[
    local set = data.moons { n = 64 }
    local net = nn.Sequential { nn.Dense(8, { activation = "relu" }), nn.Dense(1) }
    local ok, message = pcall(train.fit, net, set, { loss = function(out)
      return (out * 1e30):square():sum()
    end, optimizer = optim.SGD { lr = 1e6 }, epochs = 3 })
    print(#train.history().loss)
    error(message, 0)]], 1, "step", "not finite")
end

function tests.test_error_in_a_users_function_has_its_line()
  fails([[
    local net = nn.Sequential { nn.Lambda(function(x)
      error "inside the layer"
    end) }
    print(net(tensor { { 1 } }))]], 1, "script.lua:2", "inside the layer")
end

function tests.test_wrong_words_of_the_command_line_stop_before_training()
  local path = check.file("late.lua", fit .. [[
    options.callbacks = { function() print "an epoch was trained" end }
    train.fit(net, set, options)]])
  local out, err, status = check.runner { path, "epochs=3" }
  check.equal({ out, status }, { "", 2 })
  check.yes(err:find("epochs", 1, true) ~= nil)
end

function tests.test_batch_of_one_with_batch_norm()
  fails([[
    local set = data.set(tensor.randn(5, 2), tensor.randn(5, 1))
    train.fit(nn.Sequential { nn.Dense(2), nn.BatchNorm(), nn.Dense(1) }, set,
      { loss = "mse", batch_size = 4 })]], 1, "batch of one row", "BatchNorm")
end

function tests.test_options_of_ops_are_given_by_name()
  fails([[print(tensor { 1, 2 }:sum { [true] = 1 })]], 1, "sum", "by name")
  fails([[print(tensor { 1, 2 }:sum { [1.5] = 1 })]], 1, "sum", "by name")
  fails([[print(tensor { 1, 2 }:sum { [2] = 1 })]], 1, "sum", "by name")
end

function tests.test_messages_say_what_was_got()
  local t = tensor { 1, 2 }
  check.fails(function() return t:clip(t, 3) end, '"lo": got a tensor, allowed')
  check.fails(function() return t:clip(0, "3") end, '"hi": got "3", allowed')
  check.fails(function() return t:sum {  {} } end, '"axes": got a table, allowed')
  check.fails(function() return tensor.exp() end, "argument 1 is missing")
  check.fails(function() return tensor(3):softmax(1) end, "a scalar tensor has no axes")
  check.fails(function() return tensor.zeros(2, "a") end, "argument 2 is a string")
  check.fails(function() tensor.save(check.temp .. "/a.safetensors", { 1 }) end,
    "got 1 = a number")
end

function tests.test_wrong_declarations_of_arguments()
  fails([[args { 1 }]], 1, 'the name "1"')
  fails([[args { ["a b"] = 1 }]], 1, 'the name "a b"')
  fails([[args { seed = "x" }]], 1, "seed", "got x", "an integer")
  fails([[args { seed = 1.5 }]], 1, "seed", "got 1.5", "an integer")
  fails([[args { seed = -1 }]], 1, "seed", "got -1", "at least 0")
end

function tests.test_a_caught_fault_does_not_decide_the_exit_status()
  local path = check.file("a_file", "") .. "/x.safetensors"
  fails(("pcall(tensor.save, %q, tensor(1)) error('other')"):format(path), 1, "other")
  fails(("tensor.save(%q, tensor(1))"):format(path), 4, path)
end

function tests.test_an_error_that_is_no_text()
  fails("error { code = 5 }", 1, "(error object is a table value)")
  fails("error()", 1, "(error object is a nil value)")
  fails('error(setmetatable({}, { __tostring = function() return "told" end }))', 1,
    "runner: told")
end

check.run(tests)
