-- What is said of the data that trials read: other rows under the same name.

local check = dofile "tests/check.lua"
local tests = {}

function tests.test_other_data_and_other_code_in_a_cell_are_told()
  local text = [[
    experiment { name = "read", factors = { a = { 1, 2 } }, seeds = 2, metric = "loss",
      trial = function(c)
        local sum = 0
        for x in data.csv("read.csv", { target = "t" }):batches(4) do sum = sum + x:sum():item() end
        return { loss = c.a * sum }
      end }
  ]]
  local path = check.file("read.lua", text)
  check.file("read.csv", "u,v,t\n1,2,x\n3,4,y\n")
  local out = check.runner { "--runs", "read", path }
  check.yes(out:find("Data:", 1, true) == nil)
  check.file("read.csv", "u,v,t\n1,2,x\n3,5,y\n")
  out = check.runner { "--runs", "read", path, "seeds=4" }
  check.yes(out:find("Data: 4 of the trials read other data", 1, true) ~= nil)
  out = check.runner { "--runs", "read", "compare", "read", "--json" }
  check.yes(out:find('"Data: 4 of the trials', 1, true) ~= nil)

  check.file("read.lua", (text:gsub("c.a %* sum", "c.a + sum")))
  out = check.runner { "--runs", "read", "plan", path, "seeds=5", "--json" }
  check.yes(out:find('"Code: 8 of the trials were', 1, true) ~= nil)
  out = check.runner { "--runs", "read", "plan", path, "seeds=5" }
  check.yes(out:find "Code: 8 of the trials were made by other code; a%s+run asks" ~= nil)
  check.runner { "--runs", "read", path, "seeds=5", "--code=keep" }
  local _, _, again = check.runner { "--runs", "read", path, "seeds=6" }
  check.equal(again, 0)   -- asked only once
  check.file("read.lua", (text:gsub("c.a %* sum", "c.a - sum")))
  _, _, again = check.runner { "--runs", "read", path, "seeds=6" }
  check.equal(again, 2)
  out = check.runner { "--runs", "read", "compare", "read" }
  check.yes(out:find "Code: the trials of 2 of 2 cells were not all made by the same%s+code" ~= nil)
end

function tests.test_a_trial_tells_of_the_data_that_it_read_itself()
  local path = check.file("two.lua", [[
    experiment { name = "two", factors = { f = { "one", "other" } }, seeds = 2, metric = "loss",
      trial = function(c)
        for x in data.csv(c.f .. ".csv", { target = "t" }):batches(4) do
          return { loss = x:sum():item() }
        end
      end }
  ]])
  check.file("one.csv", "u,v,t\n1,2,x\n3,4,y\n")
  check.file("other.csv", "u,v,t\n5,6,x\n7,8,y\n")
  check.runner { "--runs", "two", "--jobs", "1", path }
  check.file("one.csv", "u,v,t\n1,2,x\n3,5,y\n")
  check.runner { "--runs", "two", "rm", "two", "f=one", "--yes" }
  local out = check.runner { "--runs", "two", "--jobs", "1", path }
  check.yes(out:find("4 of 4", 1, true) and not out:find("Data:", 1, true))
end

function tests.test_data_beside_many_sources_is_noted()
  local path = check.file("many.lua", [[
    experiment { name = "many", factors = { a = { 1 } }, seeds = 2, metric = "loss",
      trial = function(c)
        local sum = 0
        for x in data.csv("many.csv", { target = "t" }):batches(4) do sum = x:sum():item() end
        for i = 1, 20 do data.moons { n = 10 + i } end
        return { loss = sum }
      end }
  ]])
  check.file("many.csv", "u,v,t\n1,2,x\n3,4,y\n")
  check.runner { "--runs", "many", path, "seeds=1" }
  check.file("many.csv", "u,v,t\n1,2,x\n3,5,y\n")
  local out = check.runner { "--runs", "many", path }
  check.yes(out:find("Data: 1 of the trials read other data", 1, true) ~= nil)
end

-- A file that trials of one worker write anew is read anew; one that stays is read once.
function tests.test_a_file_that_trials_write()
  local function losses(name, stamp)
    local path = check.file(name .. ".lua", ([[
      experiment { name = %q, factors = { a = { 1, 2, 3 } }, seeds = 1, metric = "loss",
        trial = function(c)
          local f = assert(io.open("written.csv", "w"))
          f:write("u,t\n", c.a, ",1\n")
          f:close()
          %s
          return { loss = data.csv("written.csv", { target = "t" }):tensors():item() }
        end }
    ]]):format(name, stamp))
    local _, err, status = check.runner { "--runs", "written", "--jobs", "1", path }
    check.equal(status, 0, err)
    local out = check.runner { "--runs", "written", "ls", name, "--format=csv" }
    local seen = {}
    for a, loss in out:gmatch "complete,(%d),(%d)," do seen[tonumber(a)] = tonumber(loss) end
    return seen
  end
  check.equal(losses("fresh", ""), { 1, 2, 3 })
  local touch = "os.execute('touch -d 2020-01-0%s written.csv')"
  check.equal(losses("changed", touch:format "' .. c.a .. '"), { 1, 2, 3 })
  check.equal(losses("unchanged", touch:format "1"), { 1, 1, 1 })
end

function tests.test_given_rows_are_code()
  local text = "local set = data.set(tensor { { 1, 2 }, { 3, 4 } }, tensor { 0, 1 })\n"
    .. [[experiment { name = "given", factors = { a = { 1, 2 } }, seeds = 1, metric = "loss",
      trial = function(c)
        for x in set:batches(2) do return { loss = x:sum():item() } end
      end }]]
  local path = check.file("given.lua", text)
  check.runner { "--runs", "given", path }
  check.file("given.lua", (text:gsub("3, 4", "3, 5")))
  local _, _, status = check.runner { "--runs", "given", path }
  check.equal(status, 2)
end

check.run(tests)
