-- check.lua: what the Lua tests share. A test file is
--
--   local check = dofile "tests/check.lua"
--   local tests = {}
--   function tests.test_sum() check.near(tensor{1, 2}:sum(), 3) end
--   check.run(tests)

local check = {}

-- LuaUnit looks for globals that need not be there: it gets an environment that lets it.
local function load_luaunit()
  local path = assert(package.searchpath("luaunit", package.path))
  local env = setmetatable({}, { __index = function(_, key) return rawget(_G, key) end })
  env._G = env
  return assert(loadfile(path, "t", env))()
end

local luaunit = load_luaunit()
check.equal = luaunit.assertEquals
check.yes = luaunit.assertTrue

-- The tolerance of a few roundings of the build's floating type.
check.eps = tensor { 1 / 3 }:item() == 1 / 3 and 2 ^ -52 or 2 ^ -23

local function flat(value, out)
  out = out or {}
  if type(value) == "userdata" then value = value:totable() end
  if type(value) == "table" then
    for _, v in ipairs(value) do flat(v, out) end
  else
    out[#out + 1] = value
  end
  return out
end

-- Numbers, lists or tensors, element by element; NaN is never near.
function check.near(got, want, tolerance)
  tolerance = tolerance or 16 * check.eps
  local g, w = flat(got), flat(want)
  if #g ~= #w then
    error(("got %d numbers, want %d"):format(#g, #w), 2)
  end
  for i = 1, #w do
    if not (math.abs(g[i] - w[i]) <= tolerance * math.max(1, math.abs(w[i]))) then
      error(("element %d: got %.17g, want %.17g"):format(i, g[i], w[i]), 2)
    end
  end
end

-- How far a tensor is from that of a reference: max |a - b| relative to max |b|, or to 1e-3 of
-- the net's largest gradient (default 0) where the tensor is smaller. NaN is no error within
-- any bound.
function check.error_of(got, want, largest)
  local size = math.max(want:abs():max():item(), 1e-3 * (largest or 0), 1e-300)
  return (got - want):abs():max():item() / size
end

-- f must raise an error whose text has all the given plain strings in it.
function check.fails(f, ...)
  local ok, message = pcall(f)
  if ok then error("no error was raised", 2) end
  message = tostring(message)
  for _, part in ipairs { ... } do
    if not message:find(part, 1, true) then
      error(("the error does not say %q: %s"):format(part, message), 2)
    end
  end
  return message
end

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

check.temp = os.getenv "TMPDIR" or "/tmp"

-- Writes a file into the test's own directory; gives its path.
function check.file(name, text)
  local path = check.temp .. "/" .. name
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  return path
end

-- The data set that data.csv makes of a file with that text.
function check.csv(text, options) return data.csv(check.file("t.csv", text), options) end

-- Reading it must fail with an error that has all the given plain strings in it.
function check.csv_fails(text, options, ...)
  return check.fails(function() return #check.csv(text, options) end, ...)
end

function check.read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read "a"
  f:close()
  return text
end

-- Is the memory that the process takes the program's own? A sanitizer or valgrind adds to it,
-- and what is repeated only to be measured takes minutes under them.
check.measures_memory = not os.getenv "INSTRUMENTED"

-- Runs the program with these words (and environment, "NAME=value" text); gives stdout,
-- stderr and the exit status.
function check.runner(words, environment)
  local program = quote(assert(os.getenv "RUNNER"))
  local parts = { "cd", quote(check.temp), "&&", environment or "", program }
  for _, word in ipairs(words) do parts[#parts + 1] = quote(word) end
  parts[#parts + 1] = ">out.txt 2>err.txt </dev/null"
  local _, _, status = os.execute(table.concat(parts, " "))
  return check.read(check.temp .. "/out.txt"), check.read(check.temp .. "/err.txt"), status
end

-- The script must print the same planned, op by op, and by four threads, to the last bit.
function check.equal_bytes(code)
  local path = check.file("bytes.lua", code)
  local planned, err, status = check.runner { path }
  check.equal({ status, err }, { 0, "" })
  check.equal(check.runner({ path }, "RUNNER_EXECUTOR=naive"), planned)
  check.equal(check.runner({ "--threads", "4", path }, "RUNNER_PAR_THRESHOLD=1"), planned)
end

-- The script must end with this status and say all the parts on stderr.
function check.script_fails(code, status, ...)
  local path = check.file("script.lua", code)
  local _, err, got = check.runner { path }
  if got ~= status then
    error(("status %s, want %d; stderr: %s"):format(got, status, err), 2)
  end
  for _, part in ipairs { ... } do
    if not err:find(part, 1, true) then
      error(("stderr does not say %q: %s"):format(part, err), 2)
    end
  end
end

-- A function that runs the script with arguments and gives what it printed.
function check.script_output(code)
  local path = check.file("script.lua", code)
  return function(words)
    local out, err, status = check.runner { path, table.unpack(words or {}) }
    if status ~= 0 then error(("status %s: %s"):format(status, err), 2) end
    return out
  end
end

-- Runs every function of the table, in the order of names; ends the program.
function check.run(tests)
  local suite = luaunit.LuaUnit.new()
  suite:setOutputType "text"
  local failed = suite:runSuiteByInstances { { "tests", tests } }
  os.exit(failed == 0, true)
end

return check
