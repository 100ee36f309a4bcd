-- Pages as users ask for them: the short one and the long one, in each format, and their words.

local check = dofile "tests/check.lua"
local tests = {}

local function joined(text) return (text:gsub("%s+", " ")) end

local function has(text, ...)
  for _, part in ipairs { ... } do
    check.yes(joined(text):find(part, 1, true) ~= nil, part .. "\nis not in\n" .. text)
  end
end

local function lacks(text, ...)
  for _, part in ipairs { ... } do
    check.yes(joined(text):find(part, 1, true) == nil, part .. "\nis in\n" .. text)
  end
end

local function runner(...)
  local out, err, status = check.runner { ... }
  check.equal({ status, err:match "runner: [^\n]*" }, { 0, nil })
  return out
end

local path = check.file("acts.lua", [[
  experiment { name = "acts", factors = { act = { "relu", "tanh" }, wide = { "no", "yes" } },
    baseline = { act = "relu", wide = "no" }, seeds = 5, metric = "score", goal = "max",
    trial = function(c, run)
      local luck = math.sin(7 * run.seed + (c.wide == "yes" and 2 or 0)
        + (c.act == "tanh" and 3 * run.seed or 0)) / 100
      return { score = (c.act == "relu" and 0.5 or 0.25) + luck, cost = run.seed }
    end }]])

local long_only = { "What each factor explains", "p flip", "median" }

function tests.test_a_run_ends_with_the_short_page_and_names_the_long_one()
  local short = runner("--runs=p", path)
  has(short, "Decided: 1 of 2 contrasts", "act: relu beats tanh by", "o|", "Undecided: 1,",
    "`runner compare acts --long` adds the tests",
    "`runner help TERM` explains a word: contrast, Holm, interval")
  lacks(short, table.unpack(long_only))
  check.equal(runner("compare", "acts", "--runs=p"), short)
  local long = runner("--runs=p", "--long", path)
  has(long, table.unpack(long_only))
  lacks(long, "adds the tests", "o|")
  check.equal(runner("compare", "acts", "--long", "--runs=p"), long)
  for _, columns in ipairs { 60, 80, 120 } do
    local out = check.runner({ "compare", "acts", "--runs=p" }, "COLUMNS=" .. columns)
    for line in out:gmatch "[^\n]+" do check.yes(utf8.len(line) <= columns, line) end
  end
end

function tests.test_records_are_pages_too()
  runner("--runs=p", path)
  has(runner("ls", "acts", "--limit=2", "--format=md", "--runs=p"), "| id | seed |", "|---|---:|")
  has(runner("ls", "--format=html", "--runs=p"), "<table>", "<td>acts</td>")
  has(runner("show", "acts", "--format=latex", "--runs=p"), "\\subsection*{factors}", "relu, tanh")
  local id = runner("ls", "acts", "--limit=1", "--json", "--runs=p"):match '"id": "([^"]+)"'
  has(runner("show", id, "--format=json", "--runs=p"), '"heading": "configuration"')
  has(runner("export", "acts", "--cells", "--format=html", "--runs=p"), "<td>0.2", " ± ")
  has(runner("export", "acts", "--cells", "--format=text", "--runs=p"), " ± ")
  for _, command in ipairs { { "ls" }, { "export", "acts" } } do
    for _, word in ipairs { "--format=mad", "--runs=p" } do table.insert(command, word) end
    local _, err, status = check.runner(command)
    check.equal(status, 2)
    has(err, '--format mad: allowed: text, md, html, latex, csv, json; did you mean "md"?')
  end
end

local function whole_study(name, ends)
  return runner("--runs=w", check.file(name .. ".lua", ([[
    experiment { name = "%s", factors = { act = { "relu", "tanh" } }, seeds = 2, metric = "loss",
      trial = function(c, run) %s end }]]):format(name, ends)))
end

-- Where there is nothing to compare, one line says why.
function tests.test_a_study_that_failed_as_a_whole_has_one_line()
  check.equal(joined(whole_study("nan", "return 0 / 0")),
    "nan: all 4 trials diverged, the first: loss came to nan ")
  check.equal(joined(runner("compare", "nan", "--runs=w")),
    "nan: all 4 trials diverged, the first: loss came to nan ")
  has(runner("compare", "nan", "--long", "--runs=w"), "act n mean", "4 diverged")
end

function tests.test_a_plan_is_a_page_too()
  local function plan(...) return runner("plan", "--runs=plans", path, ...) end
  local text = plan()
  has(text, "acts: 4 cells x 5 seeds = 20 trials", "cell act wide done failed to run")
  check.equal(plan "--format=text", text)
  has(plan "--format=md", "| cell | act | wide | done | failed | to run |", "| 1 | relu | no |")
  has(plan "--format=html", "<table>", "<td>relu</td>")
  has(plan "--format=latex", "\\begin{tabular}{rllrrr}")
  has(plan "--format=csv", "cell,act,wide,done,failed,to run", "1,relu,no,0,0,5")
  has(plan "--format=json", '"columns": ["cell", "act", "wide"', '[1.0, "relu", "no"')
  local _, err, status = check.runner { "plan", path, "--format=tex" }
  check.equal(status, 2)
  has(err, "--format tex: allowed: text, md, html, latex, csv, json")
  _, err, status = check.runner { path, "--format=md" }
  check.equal(status, 2)
  has(err, "--format: allowed with plan and the queries")
end

-- The cells are one, and compared with nothing.
function tests.test_a_study_without_factors_has_no_baseline()
  local out = runner("--runs=w", check.file("one.lua", [[
    experiment { name = "one", seeds = 3, metric = "accuracy", factors = {},
      trial = function(c, run) return 0.5 + run.seed / 100 end }]]))
  has(out, "accuracy 52.0 % (95 % CI 49.5 to 54.5, 3 seeds).", "o")
  lacks(out, "baseline")
end

function tests.test_help_explains_the_words_of_a_page()
  has(runner("help", "contrast"), "contrast: Two levels of one factor", "To read: ")
  has(runner("help", "holm"), "Holm: Who tests twenty contrasts")
  has(runner("help", "t test"), "t-test: Divides the mean")
  local named = joined(runner("help", "terms")):match "TERM`: (.*)%. $"
  local n = 0
  for name in named:gmatch "[^,]+" do
    n = n + 1
    has(runner("help", (name:gsub("^ ", ""))), "To read: ")
  end
  check.yes(n > 20)
  has(runner("help", "floor"), "floor: The bad end of a metric", "tensor")     -- the op, too
  local _, err, status = check.runner { "help", "contrats" }
  check.equal(status ~= 0, true, err)
end

check.run(tests)
