-- Normalizations by what they make of their inputs.

local check = dofile "tests/check.lua"
local reference = dofile "tests/nn/reference.lua"
local tests = {}

-- Of images; of a layer normalization the channels of each pixel.
function tests.test_images()
  local images, both = { 2, 4, 7, 6 }, { { "weight", { 4 } }, { "bias", { 4 } } }
  reference.open "images".layers {
    batch_norm = { nn.BatchNorm(), { images }, both, { training = true } },
    group_norm = { nn.GroupNorm(2), { images }, both },
    instance_norm_images = { nn.InstanceNorm(), { images }, both },
    layer_norm_channels = { nn.LayerNorm { axis = 2 }, { images }, both },
  }
end

function tests.test_group_norm()
  local x = tensor.randn(2, 6, 3, 4) * 3 + 5
  local y = nn.GroupNorm(2)(x):reshape(2, 2, 36)
  check.near(y:mean(3), { { 0, 0 }, { 0, 0 } }, 1e-4)
  check.near(y:var(3), { { 1, 1 }, { 1, 1 } }, 1e-3)
  check.near(nn.GroupNorm(1)(x), nn.LayerNorm { affine = false }(x:reshape(2, 72)):reshape(2, 6,
    3, 4), 1e-5)
  check.equal(nn.norm("group", { groups = 3 })(x).shape, { 2, 6, 3, 4 })
  check.fails(function() nn.GroupNorm(4)(x) end, "multiple of 4 groups", "2x6x3x4")
  check.fails(function() nn.GroupNorm(3)(tensor.ones(2, 3)) end, "at least 2 values")
  check.fails(function() nn.norm "grup" end, 'did you mean "group"')
end

-- Where others were bitten: one value has no variance; channels of equal large values are 0;
-- rows of zeros and weights of 0 have gradients.
function tests.test_instance_and_rms_norm()
  local x = tensor.randn(2, 3, 4, 5) * 3 + 5
  check.near(nn.norm "instance"(x), nn.GroupNorm(3)(x), 1e-6)
  check.fails(function() nn.InstanceNorm()(tensor.ones(2, 3, 1, 1)) end, "at least 2 values")
  check.fails(function() nn.InstanceNorm()(tensor.ones(1, 3)) end, "at least 2 values")
  check.near(nn.BatchNorm()(tensor.full(1e10, 6, 2), { training = true }), tensor.zeros(6, 2))
  local rms, zero = nn.norm "rms", tensor.variable(tensor.zeros(2, 3))
  rms(zero)
  rms.weight:assign(tensor.zeros(3))
  for _, g in ipairs(grad(rms(zero):square():sum(), { zero, rms.weight })) do
    check.near(g, tensor.zeros(table.unpack(g.shape)))
  end
  check.near(nn.RMSNorm { eps = 0 }(tensor { { 3, 4 } }), { { 3 / 12.5 ^ .5, 4 / 12.5 ^ .5 } })
  check.fails(function() rms(tensor.ones(2, 4)) end, "[N, ..., 3]", "2x4")
end

function tests.test_axes_of_batch_norm()
  local x = tensor.randn(6, 3, 4) * 3 + 5
  local last, second = nn.BatchNorm { axis = -1 }, nn.BatchNorm { axis = 2 }
  local y = last(x, { training = true })
  check.near(y:transpose(1, 3, 2), second(x:transpose(1, 3, 2), { training = true }), 1e-5)
  check.near(last.running_var, second.running_var, 1e-5)
  check.near(last(x):transpose(1, 3, 2), second(x:transpose(1, 3, 2)), 1e-5)
  check.fails(function() nn.BatchNorm { axis = 1 } end, "axis 1 is the batch")
  check.fails(function() nn.BatchNorm { axis = 4 }(x) end, "axis of channels", "6x3x4")
  check.fails(function() last(tensor.ones(2, 2, 3)) end, "4 channels along axis 3", "2x2x3")
  check.fails(function() nn.BatchNorm { axis = { 2, 3 } } end, "got 2 axes")
end

-- Three axes are [N, T, C] behind a layer of sequences, and behind what leaves the steps where they
-- are; elsewhere they may be [N, C, L] as well.
function tests.test_axis_of_batch_norm_behind_layers_of_sequences()
  local x = tensor.randn(3, 5, 4)
  for _, build in ipairs { nn.BatchNorm, nn.NoisyBatchNorm } do
    for _, before in ipairs { nn.Dense(2), nn.GRU(2, { return_sequences = true }), nn.Conv1D(2, 3),
      nn.Sequential { nn.Conv1D(2, 3), nn.LayerNorm(), "relu", nn.Dropout(0.5) },
      nn.Residual(nn.Dense(4)), nn.Add { nn.Dense(2), nn.Dense(2) },
      nn.Concat { nn.Dense(2), nn.Dense(2) }, nn.Sequential { nn.Dense(2), nn.BatchNorm() } } do
      local norm = build()
      local y = norm(before(x))
      check.equal(norm.running_mean.shape, { y.shape[3] })
    end
    for _, before in ipairs { nn.Identity(), nn.Reshape { 5, 4 }, nn.Activation "relu",
      nn.Sequential { nn.Dense(2), nn.Permute { 3, 2 } },
      nn.Lambda(function(v) return v * 2 end) } do
      check.fails(function() build()(before(x)) end, "axis = 2", "axis = -1", "3x")
    end
    local last = build()
    check.equal(nn.Sequential { nn.Embedding(9, 4), last }
      (tensor({ { 1, 2, 0 } }, { dtype = "int32" })).shape, { 1, 3, 4 })
    check.equal(last.running_mean.shape, { 4 })
  end
  check.equal(nn.BatchNorm()(x, { mask = tensor.ones(3, 5) }).shape, x.shape)
end

-- Against the equation, with weights (keras#19642: of axes that are not the last); LayerNorm of
-- all but the batch is PyTorch's of three sizes.
function tests.test_axes_of_layer_and_rms_norm()
  local x = tensor.randn(2, 3, 4, 5) * 3 + 5
  local cases = { { 2, { 3, 1, 1 } }, { { 2, 3, 4 }, { 3, 4, 5 } }, { { 4, 2 }, { 3, 1, 5 } },
    { { -1, -2 }, { 1, 4, 5 } }, { { 3 }, { 1, 4, 1 } }, { 4, { 1, 1, 5 } } }
  for _, case in ipairs(cases) do
    for _, rms in ipairs { false, true } do
      local axis, shape = table.unpack(case)
      local layer = rms and nn.RMSNorm { axis = axis } or nn.LayerNorm { axis = axis }
      local y = layer(x)
      local axes = {}
      for i, a in ipairs(type(axis) == "table" and axis or { axis }) do axes[i] = a end
      local mean = rms and tensor.zeros(1) or x:mean(axes, { keepdims = true })
      local var = (x - mean):square():mean(axes, { keepdims = true })
      local want = (x - mean) / (var + 1e-5):sqrt()
      check.near(y, want, 1e-4)
      local w = tensor.randn(table.unpack(layer.weight.shape)):eval()
      layer.weight:assign(w)
      check.near(layer(x), want * w:reshape(1, table.unpack(shape)), 1e-4)
      if not rms then
        layer.bias:assign(w * 2)
        check.near(layer(x), want * w:reshape(1, table.unpack(shape)) +
          2 * w:reshape(1, table.unpack(shape)), 1e-4)
      end
    end
  end
  check.fails(function() nn.LayerNorm { axis = { 2, 1 } } end, "axis 1 is the batch")
  check.fails(function() nn.RMSNorm { axis = { 2, 2 } } end, "got 2 twice")
  check.fails(function() nn.LayerNorm { axis = { 4, -1 } }(x) end, "axes of its option axis")
  check.fails(function() nn.LayerNorm { axis = 5 }(x) end, "layer_norm_1", "2x3x4x5")
  local channels = nn.LayerNorm { axis = 2 }
  channels(x)
  check.fails(function() channels(tensor.ones(2, 4, 3, 3)) end, "3 along its axes", "2x4x3x3")
end

-- Under a mask of steps: what mixes them is refused, with what to write instead; a batch in which
-- fewer than two values of a channel count has no variance.
function tests.test_masks()
  local x, m = tensor.randn(2, 3, 4), tensor { { 1, 1, 0 }, { 1, 0, 0 } }
  check.near(nn.LayerNorm { axis = 3 }(x, { mask = m }):slice({}, { 1, 1 }),
    nn.LayerNorm()(x):slice({}, { 1, 1 }), 0)
  check.fails(function() nn.LayerNorm { axis = { 2, 3 } }(x, { mask = m }) end,
    "axis 2 is that of the steps", "nn.Unmask()")
  check.fails(function() nn.RMSNorm { axis = 2 }(x, { mask = m }) end, "axis 2")
  check.fails(function() nn.BatchNorm { axis = 2 }(x, { mask = m }) end, "write axis = -1",
    "nn.Unmask()")
  local norm = nn.BatchNorm { axis = -1 }
  local two = tensor { { 1, 1, 0 }, { 0, 0, 0 } }
  norm(x, { mask = two, training = true })
  local before = norm.running_var:totable()
  local step = train.step(function(a, b) return norm(a, { mask = b }):square():mean() end, norm,
    optim.SGD { lr = 0.1 })
  for _, case in ipairs { { { { 0, 1, 0 }, { 0, 0, 0 } }, "1 of 6 steps by the mask" },
    { { { 0, 0, 0 }, { 0, 0, 0 } }, "none of 6 steps by the mask" } } do
    local few = tensor(case[1])
    check.fails(function() norm(x, { mask = few, training = true }) end, "batch_norm_1", case[2])
    check.fails(function() step(x, few) end, "batch_norm_1", case[2], "2 values")
    norm(x, { mask = few })
  end
  check.equal(norm.running_var:totable(), before)
  -- of images of each step one is enough (keras#19848)
  local steps, first = tensor.randn(1, 2, 3, 4), { mask = tensor { { 1, 0 } }, training = true }
  check.near(nn.BatchNorm { axis = -1 }(steps, first)[1][1],
    nn.BatchNorm { axis = -1 }(steps[1][1], { training = true }), 1e-4)
end

function tests.test_noisy_batch_norm()
  local x, noisy, plain = tensor.randn(500, 60) * 2 + 1, nn.norm "noisy_batch", nn.BatchNorm()
  local y = noisy(x, { training = true })
  plain(x, { training = true })
  check.near(noisy(x), plain(x), 1e-6)
  check.yes((noisy(x, { training = true }) - y):abs():max():item() > 0.1)
  local mean, scale = y:mean(1), y:var(1):sqrt()
  check.yes(mean:abs():max():item() < 0.55 and scale:max():item() < 1.35)
  check.near(mean:var():item(), 1 / 12, 0.03)
  check.near(scale:mean():item(), 1.125, 0.03)
  local still = nn.NoisyBatchNorm { mean_range = 0, std_range = 1, mean_jitter = 0, std_jitter = 0 }
  check.near(still(x, { training = true }), nn.BatchNorm()(x, { training = true }), 1e-6)
end

function tests.test_weight_norm()
  local x, inner = tensor.randn(3, 5), nn.Dense(4)
  local want = inner(x)
  local net = nn.Sequential { nn.WeightNorm(inner) }
  check.near(net(x), want, 1e-6)
  check.equal({ pcall(function() return net:state()["weight_norm_1.scale"].shape end) },
    { true, { 4 } })
  net[1].scale:assign(net[1].scale * 2)
  check.near(net(x), want * 2, 1e-6)
  inner.weight:assign(inner.weight * 7)
  check.near(net(x), want * 2, 1e-5)
  local images = nn.WeightNorm(nn.Conv2D(3, 2))
  check.equal(images(tensor.randn(2, 2, 4, 4)).shape, { 2, 3, 3, 3 })
  check.equal(images.scale.shape, { 3 })
  local none = nn.WeightNorm(nn.Dense(2, { init = "zeros" }))
  check.near(none(x), tensor.zeros(3, 2))
  for _, g in ipairs(grad(none(x):sum(), none:parameters())) do
    check.yes(g:abs():max():item() < math.huge)
  end
  check.fails(function() nn.WeightNorm(nn.Flatten()) end, "got nn.Flatten")
  check.fails(function() nn.WeightNorm(inner) end, "in another nn.WeightNorm")
  images.layer = nn.Conv2D(2, 3)
  check.fails(function() images(tensor.randn(2, 2, 4, 4)) end, "scale holds 3", "2 units")
  net = nil
  collectgarbage()
  check.equal(inner(x).shape, { 3, 4 })
end

check.run(tests)
