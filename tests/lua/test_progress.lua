-- What a fit says where no terminal is: a line per epoch, every n-th with verbose = n.

local check = dofile "tests/check.lua"
local tests = {}

-- The epochs that have a line.
local function told(verbose, more)
  local code = ([[train.fit(nn.Dense(2), data.moons { n = 32 }, { loss = "cross_entropy",
    epochs = 5, verbose = %s %s })]]):format(verbose, more or "")
  local out, err, status = check.runner { "-e", code }
  check.equal({ out, status }, { "", 0 })
  local epochs = {}
  for epoch in err:gmatch "\nepoch (%d)/5  loss %d[^\n]* s" do
    epochs[#epochs + 1] = tonumber(epoch)
  end
  return epochs, err
end

function tests.test_lines_of_epochs()
  check.equal(told "true", { 1, 2, 3, 4, 5 })
  check.equal(told "1", { 1, 2, 3, 4, 5 })
  check.equal(told "2", { 2, 4, 5 })
  check.equal(told "5", { 5 })
  check.equal(told "100", { 5 })
  for _, none in ipairs { "false", "0" } do
    local _, err = told(none)
    check.equal(err, "")
  end
end

-- An epoch that ends the fit early is the last, too.
function tests.test_the_last_line_of_a_fit_that_ends_early()
  check.equal(told("10", ", callbacks = { function(e) return e.epoch == 3 end }"), { 3 })
end

function tests.test_what_verbose_takes()
  local how = { loss = "mse", record = false }
  for _, wrong in ipairs { -1, 1.5, "yes", {} } do
    how.verbose = wrong
    check.fails(function() train.fit(nn.Dense(2), data.moons { n = 8 }, how) end,
      'option "verbose"', "true, false, or an integer from 0")
  end
end

check.run(tests)
