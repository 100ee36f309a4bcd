-- What is plainly meant works; anything else is an error that says what to write instead.

local check = dofile "tests/check.lua"
local tests = {}

local a = tensor { { 1, -2 }, { 3, 4 } }
local moons = data.moons { n = 20 }

function tests.test_modules_name_the_nearest()
  check.fails(function() return nn.Densee end, 'nn has no "Densee"; did you mean "Dense"?')
  check.equal(tensor.cat({ tensor { 1, 2 }, tensor { 3 } }, 1):totable(), { 1, 2, 3 })
  check.fails(function() return nn.mse end, "did you mean loss.mse?")
  check.fails(function() return optim.XYZ end, "help(optim)")
  check.fails(function() return tensor.reluu end, '"relu"')
  check.fails(function() return train.fitt() end, '"fit"')
  check.fails(function() return data.moon {} end, '"moons"')
  check.fails(function() return init[1] end, 'init has no "1"')
  check.equal(rawget(nn, "Densee"), nil)
  check.yes(pcall(function() return nn.Dense end))
  for _, module in ipairs { nn, init, loss, optim, data, train, tensor } do
    for name in pairs(module) do check.yes(module[name] ~= nil) end
  end
end

function tests.test_activations_are_functions()
  local relu = { { 1, 0 }, { 3, 4 } }
  check.near(nn.relu(a), relu)
  check.near(nn.leaky_relu(a, 0.5), { { 1, -1 }, { 3, 4 } })
  check.near(nn.elu(0.5)(a)[2], { 3, 4 })
  check.near(nn.Sequential { nn.relu }(a), relu)
  check.near(nn.Sequential { "relu" }(a), relu)
  check.near(nn.Sequential(nn.Identity(), nn.relu())(a), relu)
  local with = nn.Dense(3, { activation = nn.relu, init = init.ones })
  check.near(with(a), { { 0, 0, 0 }, { 7, 7, 7 } })
  check.fails(function() nn.Sequential { "relux" } end, 'did you mean "relu"')
  check.fails(function() nn.Sequential { "Dens" } end, 'did you mean "Dense"')
  check.fails(function() nn.Dense(3, { activation = nn.Dense }) end, "got nn.Dense")
  check.fails(function() nn.Sequential { nn.Dense } end, '"units" is missing')
  check.fails(function() nn.Dense(3, { activation = "relux" }) end, "relu")
end

function tests.test_constructors_stand_for_their_defaults()
  local how = { loss = loss.mse, optimizer = optim.Adam, epochs = 1, verbose = false,
    record = false, callbacks = { train.early_stopping { monitor = "loss" } } }
  local net = nn.Sequential { nn.Dense(1) }
  local set = data.set(a, tensor { { 1 }, { 2 } })
  check.equal(#train.fit(net, set, how).loss, 1)
end

function tests.test_layers_without_braces()
  local net = nn.Sequential(nn.Dense(2), nn.Dense(3), { name = "both" })
  check.equal(#net, 2)
  check.equal(net.name, "both")
  check.equal(#nn.Sequential(nn.Dense(2)), 1)
  check.equal(#nn.Sequential {}, 0)
  local twice = { forward = function(_, x) return x * 2 end }
  check.near(nn.Sequential(twice)(a), a * 2)
  check.near(nn.Residual(twice)(a), a * 3)
  check.equal(nn.Concat(nn.Identity(), nn.Identity(), { axis = 1 })(a).shape, { 4, 2 })
  check.fails(function() nn.Sequential(nn.Dense(2), 3) end, "layer")
  check.fails(function() nn.Residual({ nn.Dense(2), nn.Dense(2) }) end, "write nn.Sequential")
end

function tests.test_layers_by_number_and_variables_by_name()
  local net = nn.Sequential { nn.Dense(3), nn.Residual(nn.Dense(3)) }
  check.fails(function() return net[1].weight end, "net:build(shape)")
  net:build { 2 }
  check.equal(net[1].weight.shape, { 2, 3 })
  check.equal(net[-1][1].weight.shape, { 3, 3 })
  check.equal(net[1].bias, true)   -- the option
  net[1].weight:assign(tensor.zeros(2, 3))
  check.near(net:state()["dense_1.weight"], tensor.zeros(2, 3))
  local n = 0
  for i, layer in ipairs(net) do n = n + i * #layer:parameters() end
  check.equal(n, 6)
  check.fails(function() return net[4] end, "allowed: 1 to 2")
  check.fails(function() return net[0] end, "allowed: 1 to 2")
  check.fails(function() return net[1][2] end, "there are none")
  check.fails(function() return nn.BatchNorm { affine = false }.weight end, "made without weight")
end

function tests.test_names_from_elsewhere()
  local net, opt = nn.Sequential { nn.Dense(2) }, optim.SGD()
  check.fails(function() net:fit(moons) end, "write train.fit(net, set, { ... })")
  check.fails(function() net:forward(a) end, "write net(x)")
  check.fails(function() return nn.Dense(2).weights end, "write net:parameters()")
  check.fails(function() net:state_dict() end, "write net:state()")
  check.fails(function() opt:step() end, "train.step(f, net, optimizer)")
  check.fails(function() a:backward() end, "write grad(y, { x })")
  check.fails(function() a:reshap(4) end, 'did you mean "reshape"?')
  check.fails(function() net:sumary() end, 'did you mean "summary"?')
  check.fails(function() return opt.lrr end, '"lr"')
end

-- The error of what is given at the wrong place says where it belongs.
function tests.test_arguments_from_elsewhere()
  local how = { loss = "cross_entropy" }
  check.fails(function() nn.Linear(10, 20) end, "argument 2 is a number",
    "sizes of inputs follow by themselves")
  for _, layer in ipairs { nn.BatchNorm, nn.LayerNorm, nn.Flatten, nn.BatchNorm1d } do
    check.fails(function() layer(64) end, "sizes of inputs follow by themselves")
  end
  check.fails(function() nn.Linear { in_features = 3, units = 2 } end, "write nn.Dense(units)")
  check.fails(function() nn.Dense(3, "relu") end, 'as in { activation = "relu" }')
  check.fails(function() nn.Dense "relu" end, '{ activation = "relu" } is an option')
  check.fails(function() nn.activation "rel" end, 'nn.activation: unknown activation "rel"; did')
  check.fails(function() nn.activation(3) end, "nn.activation: got a number, allowed: an act")
  check.fails(function() tensor.zeros(2, { dtyp = "real" }) end, "got the option dtyp = real")
  check.fails(function() tensor { 1 }:clip(0, 1, 2) end, "help(tensor.clip)")
  check.fails(function() nn.Dense(3, "he_normal") end, 'as in { init = "he_normal" }')
  check.fails(function() nn.Dense(3, nn.relu()) end, "a table of options")
  check.fails(function() return nn.Dense(2).kernel end, "write layer.weight")
  local net = nn.Sequential { nn.Dense(2) }
  check.fails(function() optim.Adam(net:parameters(), { lr = 1 }) end, "train.step(f, net, opt")
  check.fails(function() optim.SGD(net, 0.1) end, "train.step(f, net, opt")
  for _, name in ipairs { "lr", "learning_rate", "momentum", "weight_decay" } do
    how[name] = 0.1
    check.fails(function() train.fit(net, moons, how) end, 'unknown option "' .. name .. '"',
      "write optimizer = optim.")
    how[name] = nil
  end
  check.fails(function() train.fit(moons, net, how) end, "the net comes first")
  check.fails(function() train.fit(net, a, tensor.zeros(2), how) end, "data.set(x, y)")
  check.fails(function() net:evaluate(a) end, "data.set(x, y)")
  check.fails(function() train.fit(net, moons, "mse") end, "argument 3 is a string", "loss =")
  check.fails(function() train.fit(nil, moons, how) end, "allowed: a net")
  check.fails(function() train.fit(optim.Adam(), moons, how) end, "allowed: a net")
  check.fails(function() train.step(net, print, "adam") end, "argument 1 is a layer")
  check.fails(function() train.step(print, optim.Adam(), net) end, "argument 3: got a layer")
  check.fails(function() train.step(print, moons, "adam") end, "argument 2: got a data set")
end

-- Three classes and one output: the loss, and the one that is right.
-- Options of PyTorch's and Keras's layers that have no like here say what to write.
function tests.test_options_of_layers_from_elsewhere()
  local cases = { { "LSTM", 3, "bidirectional num_layers proj_size batch_first device dtype seed "
    .. "activation recurrent_activation use_cudnn zero_output_for_mask time_major" },
    { "MultiHeadAttention", 2, "kdim vdim add_bias_kv add_zero_attn average_attn_weights "
    .. "attention_axes flash_attention" }, { "Conv2D", 3, "in_channels padding_mode" },
    { "MaxPool2D", 2, "return_indices" }, { "AveragePooling2D", 2, "divisor_override" },
    { "Embedding", 4, "padding_idx max_norm freeze" }, { "LayerNorm", nil, "center scale "
    .. "normalized_shape gamma_initializer" }, { "BatchNorm", nil, "track_running_stats" } }
  for _, case in ipairs(cases) do
    for option in case[3]:gmatch "%S+" do
      local given = { case[2] or { [option] = 1 }, case[2] and { [option] = 1 } }
      check.fails(function() nn[case[1]](table.unpack(given)) end, case[1],
        ('unknown option "%s"; write '):format(option))
    end
  end
end

function tests.test_classes_that_a_loss_does_not_know()
  local three, net = data.spirals { n = 30, classes = 3 }, nn.Sequential { nn.Dense(1) }
  for _, name in ipairs { "binary_crossentropy", "bce" } do
    check.fails(function() train.fit(net, three, { loss = name, verbose = false }) end,
      "loss.binary_crossentropy", "sparse_categorical_crossentropy with one output per class")
    check.fails(function() net:evaluate(three, { loss = name }) end,
      "sparse_categorical_crossentropy with one output per class")
  end
  check.fails(function() train.fit(net, three, { loss = "cross_entropy", verbose = false }) end,
    "has one class", "binary_crossentropy")
end

-- A table with `forward`: what is in its fields, in lists there, and what `parameters`
-- gives is trained, once.
function tests.test_layers_in_lua()
  local function names(layer)
    local list = {}
    for i, p in ipairs(nn.Sequential { layer }:parameters()) do list[i] = p.name end
    return table.concat(list, " ")
  end
  local w, b = tensor.variable(tensor.ones(2, 2)), tensor.variable(tensor.zeros(2))
  local function forward(self, x) return x:matmul(w) + b end
  check.equal(names { w = w, b = b, forward = forward }, "custom_1.b custom_1.w")
  check.equal(names { weights = { w, b }, forward = forward },
    "custom_1.weights_1 custom_1.weights_2")
  check.equal(names { parameters = function() return { w, b } end, forward = forward },
    "custom_1.parameter_1 custom_1.parameter_2")
  check.equal(names { parameters = { w, b }, forward = forward },
    "custom_1.parameters_1 custom_1.parameters_2")
  check.equal(names { w = w, again = w, parameters = function() return { b, w } end,
    forward = forward }, "custom_1.again custom_1.parameter_1")
  local class = { forward = forward, parameters = function(self) return { self.w } end }
  class.__index = class
  check.equal(names(setmetatable({ w = w }, class)), "custom_1.w")
  local inner = nn.Dense(2)
  local stack = { layers = { nn.Dense(3), nn.Dense(2) }, head = inner, also = { inner },
    forward = function(self, x) return self.head(self.layers[2](self.layers[1](x))) end }
  local net = nn.Sequential { stack }:build { 4 }
  check.equal(#net:parameters(), 6)
  train.fit(nn.Sequential { stack }, data.set(tensor.randn(8, 4), tensor.randn(8, 2)),
    { loss = "mse", verbose = false, record = false })
  check.fails(function()
    nn.Sequential { { forward = forward, parameters = function() error "broken" end } }
  end, "broken")
  local blocks = { { nn.Dense(3), nn.relu() }, { nn.Dense(2), { nn.Dense(1) } } }
  blocks[3] = blocks
  check.equal(#nn.Sequential { { blocks = blocks, forward = forward } }:parameters(), 6)
  local many, layers = {}, {}
  for i = 1, 1000 do many[i], layers[i] = tensor.variable { i }, nn.Flatten() end
  local all = nn.Sequential { { forward = forward, many = many, layers = layers } }
  check.equal({ #all:parameters(), #all[1] }, { 1000, 1000 })
  check.equal(all:state()["custom_1.many_1000"]:item(), 1000)
end

-- What `parameters` takes out of its table is there until the layer is made; what it raises is
-- reported as any error of a script.
function tests.test_parameters_of_a_layer_in_lua_may_do_anything()
  local name = "custom_1.key_of" .. os.time()
  local layer = { [name:sub(10)] = tensor.variable(tensor.ones(2)), list = { nn.Dense(2) },
    forward = function(_, x) return x end }
  function layer:parameters()
    for key in pairs(self) do
      if key:find "^key_of" then self[key] = nil end
    end
    self.list[1], self.list = nil, nil
    collectgarbage()
    collectgarbage()
    local others = {}
    for i = 1, 30000 do others[i] = "others_" .. i + 1000000000 end
    return {}
  end
  local net = nn.Sequential { layer }
  local found = {}
  for _, p in ipairs(net:parameters()) do found[p.name] = true end
  check.equal(found, { [name] = true, ["dense_1.weight"] = true, ["dense_1.bias"] = true })
  local ok, message = pcall(nn.Sequential, { nn.Dense(2),
    { forward = layer.forward, parameters = function() error "broken" end } })
  check.equal({ ok, message:match "^[^\n]+" }, { false, message:match "^[^ ]+lua:%d+: broken" })
  check.equal(message:find "; ", nil, message)
end

-- Where a layer that is given is wrong, nothing is said of numbers of inputs.
function tests.test_a_list_of_layers_is_no_number_of_inputs()
  local ok, message = pcall(nn.Sequential, { nn.Dense })
  check.equal({ ok, message:find("in place of", 1, true) }, { false, nil }, message)
  check.fails(function() nn.Linear(10, 20) end, "nn.Dense(20) in place of (10, 20)")
end

function tests.test_trailing_nil_is_nothing()
  check.near(tensor.relu(a, nil), nn.relu(a))
  check.equal(loss.mse(a, a, nil):item(), 0.0)
  check.yes(loss.cross_entropy({ from_logits = true }, nil).from_logits == "true")
  check.equal(nn.Dense(3, nil, nil).units, 3)
  check.fails(function() tensor.relu(a, 1) end, "too many arguments")
end

function tests.test_tensors()
  local rows = {}
  for i, row in ipairs(a) do rows[i] = row:totable() end
  check.equal(rows, a:totable())
  check.equal(a[3], nil)   -- where ipairs ends
  check.fails(function() return a[4] end, "out of range")
  check.fails(function() return a[true] end, "t[{ i, { first, last } }]", "got a boolean")
  check.equal(tensor.variable { 1, 2 }:totable(), { 1.0, 2.0 })
  check.equal(tensor.variable({ { 1 } }, "w").name, "w")
  check.equal(nn.Dense(2) { { 1, 2 } }.shape, { 1, 2 })
  check.equal(nn.Dense(2):predict({ { 1, 2 } }).shape, { 1, 2 })
  check.fails(function() nn.Dense(2) { { 1, "x" } } end, "element 2 is a string")
end

-- Named fields beside the numbers would be lost; options are a table of their own.
function tests.test_names_among_numbers()
  check.fails(function() return tensor { 1, 2, dtype = "int32" } end, 'got the name "dtype"',
    'tensor({ ... }, { dtype = "int32" })')
  check.fails(function() return tensor { { 1, x = 2 }, { 3 } } end, 'got the name "x"')
  check.fails(function() return tensor { x = 1 } end, 'got the name "x"')
  check.fails(function() return tensor { 1, nil, nil, 4 } end, "lists of equal length")
  check.fails(function() return nn.Dense(2) { x = 1 } end, 'got the name "x"')
  check.fails(function() return tensor.variable { 1, name = "w" } end, 'got the name "name"')
  check.equal(tensor({}).shape, { 0 })
  local t = tensor(tensor { 1, 2 }, { dtype = "int32" })
  check.equal(t.dtype, "int32")
  check.equal(tensor(t).dtype, "int32")
  check.fails(function() tensor(tensor { 1.5 }, { dtype = "int32" }):eval() end, "element 1")
  check.fails(function() return tensor({ 1 }, "int32") end, "argument 2 is a string", "{ dtype = ")
end

function tests.test_initializers_give_tensors()
  local q = init.orthogonal()(3, 3)
  check.near(q:matmul(q:transpose()), tensor.eye(3), 1e-5)
  check.equal(init.ones()({ 2, 2 }):totable(), { { 1, 1 }, { 1, 1 } })
  check.fails(function() init.ones()(a) end, "takes sizes")
  check.fails(function() init.ones()() end, "takes sizes")
  check.fails(function() init.ones()(2, 0) end, "size 2 is 0")
end

function tests.test_a_function_or_name_with_options()
  local opt = optim.SGD { lr = 1, schedule = { function(t, lr) return lr / (t + 1) end,
    per = "step" } }
  check.equal(opt.schedule.per, "step")
  check.equal(optim.SGD { schedule = { "cosine", steps = 4 } }.schedule.steps, 4)
  check.fails(function() optim.SGD { schedule = { "cosine" } } end, "steps")
  check.fails(function() optim.SGD { schedule = { "cosine", step = 4 } } end, '"steps"')
  check.fails(function() optim.SGD { schedule = { print, pr = 1 } } end, '"per"')
  check.fails(function() optim.SGD { schedule = { a } } end, "got a table")
  local f = function(p) return p:mean() end
  local how = { loss = "mse", metrics = { { f, name = "level" } }, verbose = false,
    record = false }
  local set, net = data.set(a, tensor { { 1 }, { 2 } }), nn.Sequential { nn.Dense(1) }
  check.equal(#train.fit(net, set, how).level, 1)
  how.metrics = { f, name = "alone" }
  check.equal(#train.fit(net, set, how).alone, 1)
  local ends = {}
  how.callbacks = { epoch_end = function(self, info) ends[info.epoch] = self end }
  train.fit(net, set, how)
  check.equal(ends[1], how.callbacks)
  how.metrics = { f, f, name = "lost" }
  check.fails(function() train.fit(net, set, how) end, "a list with names in it")
end

function tests.test_data_sets()
  check.equal(#moons:subset(tensor.arange(1, 5)), 5)
  local x = moons:subset(tensor({ -1, 1 }, { dtype = "int32" })):tensors()
  check.equal(x:totable()[2], (moons:tensors()):totable()[1])
  check.fails(function() moons:subset(tensor { 1.5 }) end, "element 1 is 1.5")
  check.fails(function() moons:subset(a) end, "one axis")
  local first = moons:batches(7, { shuffle = false })()
  check.equal(first:totable(), (moons:take(7):tensors()):totable())
  check.yes(pcall(moons.batches, moons, 7, { shuffle = true }))
  check.fails(function() moons:batches(7, { shuffle = "no" }) end, 'or false, which is "none"')
  for _, per in ipairs { "all", "channel", "feature" } do
    local normal, t = moons:normalize { per = per }
    check.equal(t((moons:tensors())):totable(), (normal:tensors()):totable())
    if per ~= "all" then check.fails(function() t(tensor { { 1, 2, 3 } }) end, "features 2") end
    check.fails(function() t(moons) end, "set:normalize(transform)")
  end
end

-- The range in the message is the one that is checked.
function tests.test_ranges()
  check.fails(function() nn.Dropout(1) end, "got 1, allowed: a number from 0 to below 1")
  check.equal(nn.Dropout(0).rate, 0.0)
  check.fails(function() optim.Adam { beta1 = 1 } end, "from 0 to below 1")
  check.fails(function() optim.exponential(0) end, "a number above 0 and up to 1e+09")
  check.fails(function() optim.SGD { lr = 1e18 } end, "got 1e+18, allowed: a number from 0 to 1e+")
  check.fails(function() optim.SGD { lr = -1 } end, "from 0 to 1e+09")
  check.fails(function() train.fit(nn.Dense(1), moons, { loss = "mse", validation = 1 }) end,
    "above 0 and below 1")
  check.fails(function() nn.Dense(0) end, "an integer from 1 to 1e+09")
end

function tests.test_nan_has_no_sign()
  local output = check.script_output [[
    local zero = tensor.zeros(2)
    local n = zero / zero
    print(0 / 0, -(0 / 0), n[1], n, -n, n:mean():item(), n:totable()[1])
    io.write(0 / 0, " ", -(0 / 0), "\n")
    print(("%g"):format(n[1]:item()) .. tostring((-n)[1]:item()))
    print(loss.mse(n, zero))
  ]]()
  check.yes(output:find("nan", 1, true) ~= nil)
  check.equal(output:find("-nan", 1, true), nil)
end

check.run(tests)
