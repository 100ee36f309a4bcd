-- `require` finds what lies beside the script, in workers too, and a study knows it as its code.

local check = dofile "tests/check.lua"
local tests = {}

os.execute(("mkdir -p '%s/project/parts' '%s/elsewhere'"):format(check.temp, check.temp))

function tests.test_a_module_beside_the_script()
  check.file("project/helper.lua", "return { answer = 42 }")
  check.file("project/parts/init.lua", "return { n = 3 }")
  local path = check.file("project/main.lua",
    "print(require('helper').answer, require('parts').n)")
  local out, err, status = check.runner { path }
  check.equal({ out, err, status }, { "42\t3\n", "", 0 })
  out = check.runner { "project/main.lua" }
  check.equal(out, "42\t3\n")
  check.equal((check.runner { "plan-dump", path }):find "42" ~= nil, true)
end

-- Beside the script before the working directory; that one is still looked at.
function tests.test_the_script_comes_before_the_working_directory()
  check.file("helper.lua", "return { answer = 1 }")
  check.file("aside.lua", "return 'aside'")
  check.file("project/helper.lua", "return { answer = 42 }")
  local path = check.file("project/both.lua", "print(require('helper').answer, (require 'aside'))")
  check.equal((check.runner { path }), "42\taside\n")
  check.equal((check.runner { "-e", "print(require('helper').answer)" }), "1\n")
end

function tests.test_what_is_not_there_is_told_with_where_it_was_looked_for()
  check.script_fails("require 'absent'", 1, "module 'absent' not found", "/absent.lua'")
end

-- Its text is part of the fingerprint: another one is other code.
function tests.test_a_study_counts_it_as_code()
  local path = check.file("project/study.lua", [[
    local helper = require "beside"
    experiment { name = "beside", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c) return { loss = helper.loss(c.a) } end }]])
  local function run(words)
    check.file("project/beside.lua", words)
    return check.runner { "--runs", "runs", "--jobs", "2", path }
  end
  local _, err, status = run "return { loss = function(a) return a * 2 end }"
  check.equal(status, 0, err)
  _, err, status = run "return { loss = function(a) return a * 2 end }   -- a comment"
  check.equal(status, 0, err)
  _, err, status = run "return { loss = function(a) return a * 3 end }"
  check.equal(status, 2, err)
  check.yes(err:find("beside", 1, true) ~= nil and err:find("--code=", 1, true) ~= nil, err)
end

check.run(tests)
