-- Names of layers and tensors are those of the net that is asked; streams stay as they were.

local check = dofile "tests/check.lua"
local tests = {}

local function names(net)
  local list = {}
  for name in pairs(net:state()) do list[#list + 1] = name end
  return list
end

local function plain(units, name) return nn.Dense(units, { bias = false, name = name }) end

local x = tensor { { 1, 2 } }

local function pair()
  local shared = plain(2)
  local a = nn.Sequential { shared, plain(2) }
  a:build { 2 }
  local b = nn.Sequential { plain(2), shared }
  b:build { 2 }
  return a, b, shared
end

-- Loading what it gave changes nothing, in whatever order nets are asked.
local function check_own_state(...)
  for _, net in ipairs { ... } do
    local before, list = net(x):totable(), names(net)
    for _, other in ipairs { ... } do other:parameters() end
    net:load(net:state())
    check.equal(net(x):totable(), before)
    check.equal(names(net), list)
  end
end

function tests.test_a_layer_of_two_nets()
  local a, b, shared = pair()
  check.equal(names(a), { "dense_1.weight", "dense_2.weight" })
  check.equal(names(b), { "dense_1.weight", "dense_2.weight" })
  check.equal(names(shared), { "dense_1.weight" })
  check_own_state(a, b, shared, a)
  b:load { ["dense_1.weight"] = tensor { { 1, 2 }, { 3, 4 } },
    ["dense_2.weight"] = tensor { { 5, 6 }, { 7, 8 } } }
  check.equal(a:state()["dense_1.weight"]:totable(), { { 5, 6 }, { 7, 8 } })
end

function tests.test_saved_before_joined()
  local gen = nn.Sequential { nn.Dense(3), nn.Dense(2) }
  local dis = nn.Sequential { nn.Dense(3), nn.Dense(1) }
  gen:build { 2 }
  dis:build { 2 }
  local path = os.tmpname() .. ".safetensors"
  dis:save(path)
  local gan = nn.Sequential { gen, dis }
  local before = dis(x):totable()
  gan(x)
  dis:load(path)
  check.equal(dis(x):totable(), before)
  check.equal(names(gan)[7], "dense_4.weight")
  check.fails(function() gan:load(path) end, "missing dense_3.weight")
  dis:save(path)
  gen:build { 2 }
  dis:load(path)
  os.remove(path)
  check_own_state(gan, dis, gen)
end

function tests.test_one_net_in_two_nets_at_several_depths()
  local core = nn.Sequential { nn.Dense(2), nn.BatchNorm() }
  local a = nn.Sequential { nn.Residual(core), nn.Dense(1) }
  local b = nn.Sequential { nn.Dense(2), nn.Sequential { nn.Concat { core, nn.Dense(2) } } }
  a:build { 2 }
  b:build { 2 }
  check.equal(#names(a), 8)
  check.equal(names(b)[3], "dense_2.weight")
  check.equal(names(core)[1], "dense_1.weight")
  check_own_state(b, a, core)
end

function tests.test_a_layer_twice_in_one_net()
  local tied = plain(2)
  local net = nn.Sequential { tied, nn.Sequential { plain(2), tied } }
  net:build { 2 }
  check.equal(names(net), { "dense_1.weight", "dense_2.weight" })
  check.equal(#net:parameters(), 2)
  check_own_state(net, tied)
end

function tests.test_a_tensor_of_two_layers_has_one_name()
  local w = tensor.variable(tensor { { 1, 2 }, { 3, 4 } })
  local function forward(self, v) return v:matmul(self.w) end
  local function layer() return { w = w, forward = forward } end
  local net = nn.Sequential { layer(), layer() }
  net:build { 2 }
  check.equal(names(net), { "custom_1.w" })
  check.equal(net:parameters()[1].name, "custom_1.w")
  check.equal(#net:parameters(), 1)
  net:freeze "custom_1.w"
  check.fails(function() net:freeze "custom_2.w" end, "custom_2.w")
  check.yes(net:summary():find("total: 4 parameters, 0 trainable", 1, true) ~= nil)
  check_own_state(net)
end

function tests.test_handles_keep_the_names_of_their_net()
  local a, b = pair()
  local of_a, of_b = a:parameters()[1], b:parameters()[2]
  check.equal({ of_a.name, of_b.name }, { "dense_1.weight", "dense_2.weight" })
  of_a:assign(of_a * 2)
  check.equal(of_b:totable(), of_a:totable())
end

function tests.test_freeze_and_summary_follow_the_net()
  local a, b, shared = pair()
  b:freeze "dense_2"
  check.yes(a:summary():find("dense_1 +N x 2 +4  frozen") ~= nil)
  check.yes(b:summary():find("dense_2 +N x 2 +4  frozen") ~= nil)
  shared:unfreeze "dense_1"
  check.yes(a:summary():find("total: 8 parameters, 8 trainable", 1, true) ~= nil)
end

function tests.test_messages_name_as_the_net_that_is_called()
  local a, b = pair()
  local wide = nn.Sequential { nn.Flatten(), a }
  check.fails(function() b(tensor { { 1, 2, 3 } }) end, "dense_1: expects [N, 2]")
  check.fails(function() wide(tensor { { 1, 2, 3 } }) end, "dense_1: expects [N, 2]")
  local inner = nn.Sequential { nn.Dense(2) }
  local outer = nn.Sequential { nn.Dense(2),
    { inner = inner, forward = function(self, v) return self.inner(v:reshape(-1, 1)) end } }
  inner:build { 2 }
  check.fails(function() outer(x) end, "dense_2: expects [N, 2]")
  check.fails(function() inner(tensor { { 1 } }) end, "dense_1: expects [N, 2]")
end

function tests.test_given_names()
  local net = nn.Sequential { nn.Dense(1), nn.Dense(1, { name = "dense_1" }) }
  check.fails(function() net:build { 1 } end,
    'called "dense_1": nn.Dense number 1 (name counted) and nn.Dense number 2 (name given)')
  local twins = nn.Sequential { plain(2, "a"), nn.Residual(plain(2, "a")) }
  check.fails(function() twins:state() end, "names must differ")
  local one, other = nn.Sequential { plain(2, "h") }, nn.Sequential { plain(2, "h") }
  check.equal(names(one:build { 2 }), { "h.weight" })
  check.equal(names(other:build { 2 }), { "h.weight" })
  check.fails(function() nn.Sequential { one, other }(x) end, 'called "h"')
  check.equal(names(one), { "h.weight" })
  check.fails(function() plain(2, "a\xff"):state() end, "byte 2 what is no UTF-8")
  check.fails(function() plain(2, "a\nb"):state() end, "control character")
  check.fails(function() plain(2, "a\0b") end, "zero byte")
  check.fails(function() plain(2, ("n"):rep(121)):state() end, "121 bytes")
  check.equal(names(plain(2, "Schicht zwei é [1]"):build { 2 }), { "Schicht zwei é [1].weight" })
  check.equal(nn.Sequential { plain(2, "a[1]") }:freeze "a[1]":parameters()[1].name, "a[1].weight")
end

-- A name that has a sign of patterns in it means itself, and no other that it would fit.
function tests.test_freezing_by_exact_name()
  local net = nn.Sequential { plain(2, "a[1]"), plain(2, "a1") }
  net:build { 2 }
  check.yes(net:freeze "a[1]":summary():find("8 parameters, 4 trainable", 1, true) ~= nil)
  check.yes(net:unfreeze():freeze "a[1].weight":summary():find("4 trainable", 1, true) ~= nil)
  check.yes(net:unfreeze():freeze "a?":summary():find("4 trainable", 1, true) ~= nil)
  check.yes(net:unfreeze():freeze "a*":summary():find("0 trainable", 1, true) ~= nil)
end

-- The order in which Lua keeps names must not show.
function tests.test_names_in_messages_are_sorted()
  local net, odd = nn.Sequential { plain(2) }, {}
  net:build { 2 }
  for i = 1, 9 do odd["z" .. i] = tensor { 1 } end
  check.fails(function() net:load(odd) end, "unknown z1, z2, z3, z4, z5, z6, z7, z8, z9")
end

function tests.test_points_in_names()
  local v = tensor.variable(tensor { 1, 2 })
  local custom = nn.Sequential { { ["b.weight"] = v, forward = function(_, t) return t + v end } }
  check.equal(names(custom), { "custom_1.b.weight" })
  local both = nn.Sequential { custom, plain(2, "custom_1.b") }
  check.fails(function() both:build { 2 }:state() end, 'called "custom_1.b.weight"')
  local fine = nn.Sequential { plain(2, "block.1"), plain(2, "block.2") }
  fine:build { 2 }
  check_own_state(fine)
end

function tests.test_a_net_in_itself()
  local net = nn.Sequential { nn.Dense(2) }
  local around = nn.Residual(net)
  check.fails(function() net:add(around) end, "layer of itself")
  check.fails(function() net.layers = { around } end, "layer of itself")
  check.fails(function() around.block = nn.Sequential { around } end, "layer of itself")
  check.equal(names(around:build { 2 }), { "dense_1.weight", "dense_1.bias" })
end

-- -- streams ------------------------------------------------------------------------------

function tests.test_streams_stay_those_of_the_net_where_a_layer_was_built()
  local masks = check.script_output [[
    local joined = args { joined = false }.joined
    local ones = tensor.ones(1, 40)
    local net = nn.Sequential { nn.Dropout(0.5) }
    net(ones, { training = true })
    if joined then
      local outer = nn.Sequential { nn.Dropout(0.5), nn.Residual(net) }
      outer(ones)
      outer:summary()
    end
    print(net(ones, { training = true }))
  ]]
  check.equal(masks { "joined=true" }, masks { "joined=false" })
end

-- The net asked first decides; the container that a layer came to first does not.
function tests.test_init_streams_of_a_shared_layer_differ_from_its_namesakes()
  tensor.seed(2)
  local shared = plain(3)
  local a = nn.Sequential { shared, plain(3) }
  local b = nn.Sequential { plain(3), shared }
  b:build { 3 }
  a:build { 3 }
  local seen = {}
  for _, net in ipairs { a, b } do
    for _, t in pairs(net:state()) do seen[tostring(t:totable()[1][1])] = true end
  end
  local n = 0
  for _ in pairs(seen) do n = n + 1 end
  check.equal(n, 3)
end

-- -- training -----------------------------------------------------------------------------

function tests.test_two_nets_that_share_a_layer_train_and_load()
  local a, b, shared = pair()
  local optimizer = optim.SGD { lr = 0.1, momentum = 0.9 }
  local step = train.step(function(v, t) return loss.mse(a(v), t) + loss.mse(b(v), t) end,
    { a, b }, optimizer)
  local kept = a:state()
  for _ = 1, 3 do step(x, tensor { { 0, 1 } }) end
  check.yes(shared:state()["dense_1.weight"]:ne(kept["dense_1.weight"]):sum():item() > 0)
  a:load(kept)
  check.equal(shared:state()["dense_1.weight"]:totable(), kept["dense_1.weight"]:totable())
  check_own_state(a, b, shared)
end

check.run(tests)
