-- help and apropos: everything that the library gives is described, from its record.

local check = dofile "tests/check.lua"
local tests = {}

-- What the code prints.
local function printed(code)
  local out, err, status = check.runner { "-e", code }
  if status ~= 0 then error(("status %s: %s"):format(status, err), 2) end
  return out
end

local function says(code, ...)
  local out = printed(code)
  for _, part in ipairs { ... } do
    check.yes(out:find(part, 1, true) ~= nil, ("%s does not say %q: %s"):format(code, part, out))
  end
end

function tests.test_a_layer_has_usage_options_equation_and_aliases()
  says("help(nn.Dense)", "nn.Dense(units, { options })", "Y = X W + b", "number of outputs",
    "out_features", '"glorot_uniform"', "kernel_initializer", "Also called: Linear")
  says("help(nn.Dropout)", "(a number from 0 to below")
end

-- Paths and headings of all that the modules list: { path = "nn.Dense", family = "layers" }.
local function everything_listed()
  local list, family = {}, nil
  local text = printed "for _, m in ipairs { nn, init, loss, optim, train, data } do help(m) end"
  for line in text:gmatch "[^\n]+" do
    family = line:match "^%w+: (.+)$" or family
    local path = line:match "^  (%w+%.[%w_]+)"
    if path then list[#list + 1] = { path = path, family = family } end
  end
  for method in printed("help(data.moons { n = 4 })"):gmatch "\n  (set:[%w_]+)" do
    list[#list + 1] = { path = method, family = "functions" }
  end
  return list
end

-- The programs under "Example" in a text of help.
local function examples_in(text)
  local list, lines = {}, nil
  for line in (text .. "\n"):gmatch "(.-)\n" do
    if line == "Example" then
      lines = {}
    elseif lines and line:find "^  " then
      lines[#lines + 1] = line
    elseif lines then
      list[#list + 1] = table.concat(lines, "\n")
      lines = nil
    end
  end
  return list
end

-- Each kind has an example, data set methods and functions may; all of them run.
function tests.test_examples_run()
  local list, asked = everything_listed(), {}
  for i, thing in ipairs(list) do asked[i] = ("help %q print '\f'"):format(thing.path) end
  local n, programs = 0, {}
  for text in printed(table.concat(asked, "\n")):gmatch "(.-)\f\n" do
    n = n + 1
    local examples = examples_in(text)
    check.yes(#examples > 0 or list[n].family == "functions", list[n].path .. " has no example")
    for _, program in ipairs(examples) do
      programs[#programs + 1] = ("do\n%s\nend"):format(program)
    end
  end
  check.equal(n, #list)
  check.yes(n > 150 and #programs > 120, ("%d things, %d examples"):format(n, #programs))
  check.script_output(table.concat(programs, "\n"))()
end

-- What need not be given is not said to be required.
function tests.test_arguments_of_ops_and_their_defaults()
  says("help(tensor.sum)", "an axis or a list of axes; default all")
  says("help(tensor.transpose)", "default reversed")
  says("help(tensor.clip)", "lower limit (a number; required)")
  for _, thing in ipairs { "nn.Sequential {}.evaluate", "train.fit", "train.accuracy" } do
    check.equal(printed(("help(%s)"):format(thing)):gsub("%s+", " ")
      :match "default: [^()]*%([^()]*default none", nil, thing)
  end
  for _, name in ipairs { "sum", "transpose", "slice", "pad" } do
    check.equal(printed(("help(tensor.%s)"):format(name)):find("required", 1, true), nil)
  end
end

function tests.test_a_name_may_be_several_things()
  says('help "relu"', "nn.relu", "tensor.relu(x)", "Source: Nair & Hinton")
  says('help "kaiming_normal"', "init.he_normal")
  says('help "t:sum"', "tensor.sum(x, axes, keepdims)")
  says('help "net.build"', "net:build(shape)")
  says('help "momentum"', 'Option "momentum" of', "optim.SGD", "nn.BatchNorm")
end

function tests.test_modules_functions_and_values()
  says("help(init)", "init.he_normal", "init: initializers", "init.gain")
  says("help(tensor)", "tensor({{1, 2}, {3, 4}}", "tensor.matmul")
  says("help(train.fit)", "train.fit(net, set, { options })", "batch_size", "default 32")
  says("help(optim.Adam())", "optim.Adam(lr, { options })")
  says("help(data.moons { n = 4 })", "set:split")
  says("help(args)", "key=value")
  says("help(print)", "Lua's own library")
  says("help(function() end)", "written in Lua")
  says("help(3)", "a number")
  check.equal(printed "help()", printed "print(help)")
end

-- Those of the value, and none that another thing calls so, too.
function tests.test_methods_are_the_values_own()
  local of_tensor = printed "help(tensor.zeros(2))"
  local of_net = printed "help(nn.Sequential { nn.Dense(2) })"
  says("help(tensor.zeros(2))", "tensor.add", "t:detach", "tensor.softmax")
  says("help(nn.Sequential { nn.Dense(2) })", "net:add", "net:summary")
  says("help(data.moons { n = 4 })", "set:split", "set:batches")
  check.equal(of_tensor:find("net:", 1, true), nil)
  check.equal(of_net:find("tensor.add", 1, true), nil)
  check.equal(printed "help(data.moons { n = 4 })":find("tensor%.%l"), nil)
end

function tests.test_comparisons()
  says("help(tensor.eq)", "x == y", "one and the same")
end

-- Each option has a sentence: before the bracket with what is allowed.
function tests.test_options_of_an_experiment_say_what_they_mean()
  local out = printed "help(experiment)":match "Options\n(.*)"
  local n = 0
  for option in ("\n" .. out):gsub("\n  (%l)", "\0%1"):gmatch "%z([^%z]+)" do
    n = n + 1
    check.yes(option:find "^[%l_]+ +%u[^(]+%.%s+%(" ~= nil, option)
  end
  check.equal(n, 20)
  says('help "rope"', "experiment", "does not matter")
end

function tests.test_unknown_names_have_a_nearest_one()
  says('help "rellu"', 'did you mean "relu"?')
  says('help "qqqqqqqqqq"', 'nothing is called "qqqqqqqqqq"')
  says('apropos "qqqqqqqqqq"', "nothing mentions")
  local _, err, status = check.runner { "-e", "apropos(3)" }
  check.equal(status, 1)
  check.yes(err:find("allowed: a string", 1, true) ~= nil)
end

function tests.test_apropos_looks_into_names_and_texts()
  says('apropos "NORM"', 'Named "NORM"', "nn.LayerNorm", 'Mentioning "NORM"', "optim.SGD")
  says('apropos "kaiming"', "init.he_normal")
end

-- Whoever adds a function also says what it does.
function tests.test_every_function_of_the_library_is_documented()
  local out = printed [[
    for name, module in pairs(require "runner") do
      local list = type(module) == "table" and module or { [name] = module }
      for key, value in pairs(list) do
        if type(value) == "function" then print("@" .. name .. "." .. key) help(value) end
      end
    end]]
  local n = 0
  for entry, text in out:gmatch "@(%S+)\n([^@]*)" do
    n = n + 1
    local first, second = text:match "^([^\n]+)\n  (%S[^\n]*)"
    check.yes(first ~= nil and not first:find "^help:" and second ~= nil, entry .. ": " .. text)
  end
  check.yes(n > 120)
end

-- The text of an entry: what is indented by two blanks, up to the equation, if any.
local function text_of(entry)
  local lines = {}
  for line in entry:gmatch "\n([^\n]*)" do
    local other = line:find "^  Source: " or line:find "^  Also called: "
    if other or not line:find "^  [^ ]" then break end
    lines[#lines + 1] = line:sub(3)
  end
  return table.concat(lines, " ")
end

-- Each record and function says in sentences what it is, and each of its options what it does.
function tests.test_texts_are_sentences()
  local code, n = {}, 0
  for path in printed 'apropos "."':gmatch "\n  (%l+[.:][%w_]+)" do
    code[#code + 1] = ("print '@%s' help '%s'"):format(path, path)
  end
  for path, entry in (printed(table.concat(code, "\n")) .. "@"):gmatch "@(%S+)\n([^@]*)%f[@]" do
    local text = text_of(entry)
    check.yes(text:find "^[%u%d]" ~= nil or text:find "^%l " ~= nil, path .. ": " .. text)
    check.yes(text:find "%.%)?$" ~= nil, path .. ": " .. text)
    check.equal((entry:match "\nOptions(.*)" or ""):match "\n  [%w_]+ +%(", nil, path)
    n = n + 1
  end
  check.yes(n > 200, n)
end

function tests.test_texts_keep_to_the_width()
  for line in printed("help(tensor) help(nn.Dense)"):gmatch "[^\n]+" do
    check.yes(utf8.len(line) <= 80, line)
  end
end

check.run(tests)
