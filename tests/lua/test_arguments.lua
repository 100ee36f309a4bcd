-- When words of the command line that are declared nowhere are refused: before anything runs,
-- wherever the text of the script leaves no doubt.

local check = dofile "tests/check.lua"
local tests = {}

local function run(code, ...)
  return check.runner { check.file("script.lua", code), ... }
end

-- The script prints "ran" unless the word is refused before.
local function is_early(code, ...)
  local out, err, status = run(code, ...)
  check.equal(status, 2)
  check.yes(err:find("unknown argument", 1, true) ~= nil)
  if out ~= "" then error(("%s\nran to: %s"):format(code, out), 2) end
end

local function is_taken(code, ...)
  local out, err, status = run(code, ...)
  if status ~= 0 or out ~= "ran\n" then error(("%s\n%s%s"):format(code, out, err), 2) end
end

function tests.test_at_args_where_nothing_else_declares()
  local head = "local a = args { epochs = 3 } "
  is_early(head .. 'print "ran"', "epoch=5")
  is_early("local args <const> = args { epochs = 3 } print('ran', pairs(args))", "epoch=5")
  is_early("local args = args { epochs = 3 } local function f(args) return args.epochs end "
    .. "print('ran', f(args))", "epoch=5")
  is_early("local r = require 'runner' local a = r.args { epochs = 3 } print 'ran'", "epoch=5")
  is_early("local a = args { epochs = 3 } if a.epochs then print 'ran' end", "epoch=5", "epochs=x")
end

function tests.test_words_in_comments_and_strings_declare_nothing()
  is_early([==[
    -- experiment { } args { x = 1 } require "arguments_of_nobody"
    --[[ args { x = 1 } experiment { } ]]
    local a = args { epochs = 3 }
    print("ran", "experiment { }", 'args {}', [[ experiment { } args { } ]], "require 'x'")
  ]==], "x=1")
end

function tests.test_a_script_that_declares_nothing_is_given_nothing()
  is_early('print "ran"', "x=5")
  is_taken('print "ran"', "seed=5")
  local out, _, status = run('print "ran"', "--help")
  check.equal({ status, out:find("ran\n", 1, true) }, { 0 })
end

function tests.test_text_of_the_command_line_is_read_too()
  local code = "local a = args { depth = 3 } print 'ran'"
  local out, err, status = check.runner { "-e", code, "dept=3" }
  check.equal({ out, status }, { "", 2 })
  check.yes(err:find('did you mean "depth"?', 1, true) ~= nil)
end

-- What may declare more waits for it.
function tests.test_nothing_is_refused_that_may_be_declared_later()
  check.file("declaring.lua", "return args { depth = 3 }")
  check.file("asking.lua", "return require 'declaring'")
  local head = "local a = args { epochs = 3 } "
  for _, more in ipairs { "require 'declaring'", "require('asking')", "require [[declaring]]",
    "local name = 'declaring' require(name)", "pcall(require, 'declaring')",
    "require('declar' .. 'ing')", "dofile('declaring' .. '.lua')",
    "dofile 'declaring.lua'", "loadfile('declaring.lua')()",
    "load 'return args { depth = 3 }' ()", "local f = args f { depth = 3 }",
    "; (function(declare) declare { depth = 3 } end)(args)", "_G.args { depth = 3 }",
    "local r = require 'runner' r.args { depth = 3 }", "args({ depth = 3 })",
    "local t = { depth = 3 } args(t)" } do
    is_taken(head .. more .. " print 'ran'", "depth=5")
  end
  is_taken("local more = require 'declaring' print 'ran'", "depth=5")
  is_taken("local a = require 'runner' ['args'] { depth = 3 } print 'ran'", "depth=5")
end

-- One call in the text that is made twice.
function tests.test_names_that_are_computed_may_be_others_later()
  for _, call in ipairs { "args { [name] = default }", "args({ seed = 1, [name] = default })" } do
    is_taken(([[
      local function arg(name, default) return %s[name] end
      local depth, rate = arg("depth", 3), arg("rate", 0.1)
      assert(depth == 3 and rate == 0.5)
      print "ran" ]]):format(call), "rate=0.5")
  end
  is_early("local t = { 1 } local a = args { epochs = t[1], depth = { t[1], 'text' } } print 'ran'",
    "epoch=5")
end

function tests.test_what_is_declared_later_is_checked_then()
  check.file("declaring.lua", "return args { depth = 3 }")
  local out, err, status = run("local a = args { epochs = 3 } require 'declaring' print 'ran'",
    "dept=5")
  check.equal({ out, status }, { "ran\n", 2 })
  check.yes(err:find("declares: depth, epochs, seed", 1, true) ~= nil)
end

function tests.test_an_experiment_has_its_words()
  local code = [[
    local a = args { epochs = 3 }
    print "ran"
    local study = experiment
    study { factors = { k = { 1, 2 } }, seeds = 1, metric = "s", goal = "max",
      trial = function() return { s = 1 } end }
  ]]
  local _, _, status = run(code, "k=1", "epochs=2")
  check.equal(status, 0)
  local _, err, wrong = run(code, "j=1")
  check.equal(wrong, 2)
  check.yes(err:find('unknown argument "j"', 1, true) ~= nil)
end

function tests.test_help_tells_types_and_all_that_is_declared()
  check.file("declaring.lua", "return args { depth = 3 }")
  local out = run("local a = args { flag = true, rate = 0.5, name = 'x' } require 'declaring'",
    "--help")
  for _, row in ipairs { "flag +boolean +default true\n", "rate +number +default 0.5\n",
    "name +string +default x\n", "depth +integer +default 3\n" } do
    check.yes(out:find(row) ~= nil)
  end
end

check.run(tests)
