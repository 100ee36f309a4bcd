-- workers.lua: a study whose trials cost the same, for workers.py.

experiment {
  name = "workers", factors = { width = { 96, 97, 98, 99, 100, 101, 102, 103 } }, seeds = 3,
  metric = "loss",
  trial = function(c, run)
    local set = data.spirals { n = 4000 }
    local net = nn.Sequential {
      nn.Dense(c.width, { activation = "relu" }), nn.Dense(100, { activation = "relu" }),
      nn.Dense(3),
    }
    return train.fit(net, set, { loss = "sparse_categorical_crossentropy", optimizer = "adam",
      epochs = 10, run = run })
  end,
}
