-- trials.lua: a study of 10,000 trials (n=...) that do next to nothing, for trials.py.

local args = args { n = 10000 }

experiment {
  name = "trials", factors = { a = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } },
  seeds = args.n // 10, metric = "loss",
  trial = function(c, run) return { loss = c.a + run.seed } end,
}
