-- What README.md says holds: its scripts run, its tables are those of the program.

local check = dofile "tests/check.lua"
local tests = {}

local readme = check.read "README.md"

-- Indented blocks of the README, without the indentation.
local function blocks()
  local found, block = {}, nil
  for line in (readme .. "\n"):gmatch "(.-)\n" do
    local code = line:match "^    (.*)$"
    if code then
      block = block or {}
      block[#block + 1] = code
    elseif block and line == "" then
      block[#block + 1] = ""
    elseif block then
      found[#found + 1] = table.concat(block, "\n")
      block = nil
    end
  end
  return found
end

local function says(text)
  check.yes(readme:find(text, 1, true) ~= nil, "README.md does not say: " .. text)
end

local function block_with(word)
  for _, block in ipairs(blocks()) do
    if block:find(word, 1, true) then return block end
  end
  error("README.md has no block with " .. word)
end

function tests.test_the_first_script_and_the_loop_run()
  local script = block_with("-- spirals.lua"):gsub("\n%$ runner.*", "\n")
  local path = check.file("spirals.lua", script .. block_with("train.step("))
  local out, err, status = check.runner { path, "epochs=2" }
  check.equal(status, 0, err)
  check.yes(out:find("dense_3", 1, true) ~= nil, out)
end

-- Numbers, what they make of the order and of a drawn interval, and the room that they take,
-- differ with the machine's kernels; words do not.
local function masked(line)
  return (line:gsub("[<=] %.", "."):gsub("[%d.+-]*%d", "0"):gsub("#+", "#")
    :gsub("[|<>-]*o[|<>-]*", "o"):gsub("%s+", " ")
    :gsub("^ ", ""))
end

-- Every line that is shown is printed; "..." stands for others.
function tests.test_the_study_says_what_is_shown()
  local path = check.file("depth.lua", block_with("-- depth.lua"))
  local out, err, status = check.runner { "--jobs", "2", path }
  check.equal({ status, err:match "runner: .*" }, { 0, nil })
  local printed, n = {}, 0
  for line in out:gmatch "[^\n]+" do printed[masked(line)] = true end
  for line in block_with("$ runner depth.lua\n"):gmatch "[^\n]+" do
    if line ~= "..." and not line:find "^%$" then
      check.equal(printed[masked(line)], true, ("not printed: %s\n%s"):format(line, out))
      n = n + 1
    end
  end
  check.yes(n > 10)
  local verified, told, code = check.runner { "verify", "--sample", "all", "--threads", "2", path }
  check.equal(code, 0, told)
  says((verified .. told):match "%d+ of %d+ trials came to the same digest")
end

-- The names of a module as they are written, without aliases.
local function names_of(module)
  local names, n = {}, 0
  local out = check.runner { "-e", ("for _, f in pairs(%s) do print(f) end"):format(module) }
  for name, rest in out:gmatch("function " .. module .. "%.([%w_]+)([^\n]*)") do
    if rest == "" and not names[name] then names[name], n = true, n + 1 end
  end
  check.yes(n > 2, out)
  return names
end

function tests.test_what_there_is_and_what_is_not()
  for _, module in ipairs { "nn", "init", "loss", "optim", "train" } do
    for name in pairs(names_of(module)) do
      if name ~= "metric" then says("`" .. name .. "`") end
    end
  end
  says "Not there: GPUs"
  local _, n_ops = check.read("src/graph/ops.def"):gsub("\nOP%(", "")
  local kernels = check.read("src/kernel/elementwise.def")
  for _ in ("\n" .. kernels):gmatch("\n([UB][A-Z_]+)%(") do
    n_ops = n_ops + 1
  end
  says(("| %d operations"):format(n_ops))
end

-- One way to call the program, said once.
function tests.test_the_program_is_called_in_one_way()
  says 'export PATH="$PWD/build:$PATH"'
  for _, block in ipairs(blocks()) do
    check.equal(block:find "%$ build/runner", nil, block)
  end
end

function tests.test_the_layer_in_lua_is_trained()
  local code = block_with("function scale:forward")
  local path = check.file("scale.lua", code ..
    "\nfor _, p in ipairs(scaled:build { 2 }:parameters()) do print(p.name) end")
  local out, err, status = check.runner { path }
  check.equal({ status, err }, { 0, "" })
  check.yes(out:find("custom_1.gain", 1, true) ~= nil, out)
end

function tests.test_every_option_and_exit_status_is_in_the_tables()
  local help = check.runner { "--help" }
  local n = 0
  for option, doc in help:gmatch "\n  (%-%-?%a+) ?%u*%s+([^\n]+)" do
    n = n + 1
    says("| `" .. option)
    if option ~= "--help" then says("| " .. doc .. " |") end
  end
  check.yes(n >= 5, "--help lists no options: " .. help)
  for status = 0, 4 do says(("\n| %d | "):format(status)) end
end

-- Is it another name of a record of the module?
local function is_alias(name)
  return check.runner { "-e", "help(data." .. name .. ")" }:find("Also called:.-" .. name) ~= nil
end

function tests.test_every_data_set_is_in_the_table()
  local n = 0
  for name in pairs(data) do
    local named = readme:find("data%." .. name .. "[`(]") ~= nil
    check.yes(named or is_alias(name), "README.md has no data." .. name)
    if named then n = n + 1 end
  end
  check.yes(n >= 13)
end

function tests.test_every_package_and_file_named_is_there()
  local list = assert(io.popen "scripts/install-deps --list check")
  for package in list:lines() do
    local common = package == "gcc" or package == "libc6-dev" or package == "make"
    if not common then says("`" .. package .. "`") end
  end
  list:close()
  for path in readme:gmatch "`(src/[%w_/]+%.?%w*)`" do
    local file = io.open(path)
    check.yes(file ~= nil, path .. " is not there")
    file:close()
  end
end

function tests.test_the_experiment_runs()
  local script = block_with("-- moons.lua"):gsub("\n%$ runner.*", "\n")
  local path = check.file("moons.lua", script)
  local out, err, status = check.runner { path, "epochs=1", "seeds=1" }
  check.equal({ status, err:match "runner: .*" }, { 0, nil })
  check.yes(out:find("6 of 6 trials", 1, true) ~= nil)
end

function tests.test_options_of_experiments_are_told()
  local source = check.read "src/lua/lib/experiment_main.lua"
  local list = source:match "\nlocal options = {(.-)\n}\n"
  local n = 0
  for name in list:gmatch "\n  ([%w_]+) = {" do
    n = n + 1
    says("`" .. name .. "`")
  end
  check.yes(n > 15)
end

check.run(tests)
