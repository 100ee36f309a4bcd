-- The experiments that come with the program run from the command line, small, to the end.
local check = dofile "tests/check.lua"
local tests = {}
local here = io.popen("pwd"):read()

-- Runs one seed of the study; every cell must be complete.
local function runs(script, n_trials, words)
  local command = { "--jobs", "2", "--threads", "1", here .. "/experiments/" .. script,
                    table.unpack(words) }
  local out, err, status = check.runner(command)
  check.equal({ status, err:match "runner: .*" }, { 0, nil }, err)
  local complete = ("%d of %d trials complete"):format(n_trials, n_trials)
  check.yes(out:gsub("%s+", " "):find(complete, 1, true) ~= nil, out)
  check.yes(out:find("Best mean", 1, true) ~= nil, out)
end

function tests.test_transfer_learning()
  runs("transfer_learning.lua", 3, { "rows=30", "epochs=2", "frozen=1", "rows_a=300", "epochs_a=1",
                                     "seeds=1" })
end

function tests.test_optimizers()
  runs("optimizers.lua", 3, { "rows=300", "epochs=1", "seeds=1",
                              "optimizer=sgd,adagrad,nadam" })
end

function tests.test_overfitting()
  runs("overfitting.lua", 3, { "rows=60", "epochs=2", "seeds=1",
                               "remedy=none,early_stopping,combined" })
end

function tests.test_pretraining()
  runs("pretraining.lua", 3, { "labels=40", "rows=200", "epochs=1", "epochs_a=1", "seeds=1",
                               "net=relu" })
end

-- The lists of words are made up here: those of packages need not be there.
function tests.test_language_of_words()
  local lists = { ["american-english"] = "ing", french = "eau", italian = "zione", ngerman = "ung",
                  spanish = "ción" }
  for name, ending in pairs(lists) do
    local words = {}
    for i = 1, 40 do words[i] = ("abcdefgh"):sub(i % 5 + 1, i % 5 + 1 + i % 3) .. ending end
    check.file(name, table.concat(words, "\n"))
  end
  runs("language_of_words.lua", 2, { "words=10", "epochs=4", "from=" .. check.temp, "seeds=1",
                                     "remedy=none,crossed" })
end

function tests.test_lenet()
  runs("lenet.lua", 4, { "rows=60", "epochs=1", "seeds=1", "net=perceptron,tanh,relu,shuffled" })
end

function tests.test_plain_vs_residual()
  runs("plain_vs_residual.lua", 6, { "rows=300", "epochs=1", "seeds=1", "depth=2,3" })
end

function tests.test_rnn_memory()
  runs("rnn_memory.lua", 4, { "length=8", "units=4", "steps=20", "seeds=1" })
end

-- Each is read in one go, and says how it is called.
function tests.test_they_are_short()
  for path in io.popen("ls experiments/*.lua"):lines() do
    local text = check.read(path)
    local _, n = text:gsub("\n", "")
    check.yes(n < 80, ("%s has %d lines"):format(path, n))
    check.yes(text:find("runner " .. path, 1, true) ~= nil, path)
  end
end

check.run(tests)
