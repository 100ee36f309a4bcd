-- Folders of pictures as scripts see them.

local check = dofile "tests/check.lua"
local tests = {}

-- Two pixels: red, and blue.
local red_blue = "89504e470d0a1a0a0000000d49484452000000020000000108020000007b40e8dd0000" ..
  "000d49444154789c63f8cf0004ff01070001ffe2239e590000000049454e44ae426082"

local function unhex(text)
  return (text:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end))
end

function tests.test_images()
  local root = check.temp .. "/pictures"
  os.execute("mkdir -p " .. root .. "/b " .. root .. "/a " .. root .. "/.hidden")
  check.file("pictures/b/1.PNG", unhex(red_blue))
  check.file("pictures/b/0.png", unhex(red_blue))
  check.file("pictures/a/x.png", unhex(red_blue))
  check.file("pictures/a/notes.txt", "not a picture")
  local set = data.images(root)
  check.equal({ #set, set.classes, set.features }, { 3, 2, { 3, 1, 2 } })
  check.equal(set.class_names, { "a", "b" })
  local x, y = set:tensors()
  check.equal(y:totable(), { 1, 2, 2 })
  check.near(x[1], { 1, 0, 0, 0, 0, 1 })
  check.near(data.images(root, { channels = 1, scale = false }):tensors()[1], { 76, 29 })
  check.equal(data.images(root, { size = { 4, 6 } }).features, { 3, 4, 6 })
  check.equal(data.images(root, { size = 5 }).features, { 3, 5, 5 })
  local plain = data.images(root .. "/b")
  check.equal({ #plain, plain.classes }, { 2, nil })
end

function tests.test_images_refuse()
  local root = check.temp .. "/bad"
  local function fails(options, ...)
    check.fails(function() return #data.images(root, options) end, ...)
  end
  fails(nil, "bad: cannot be read")
  os.execute("mkdir -p " .. root .. "/a " .. root .. "/b")
  fails(nil, "bad/a: holds no pictures")
  check.file("bad/a/x.png", unhex(red_blue))
  check.file("bad/b/x.png", "GIF89a")
  fails(nil, "bad/b/x.png: is no PNG or JPEG file")
  check.file("bad/b/x.png", unhex(red_blue):sub(1, -3))
  fails(nil, "bad/b/x.png: truncated")
  check.file("bad/top.png", unhex(red_blue))
  fails(nil, "top.png", "beside folders of classes")
  fails({ channels = 2 }, "channels", "got 2")
  fails({ size = { 1, 2, 3 } }, "size", "got 3 numbers")
  fails({ size = 0 }, "size", "got 0, allowed: an integer from 1 to 4096, or a list of such")
  fails({ size = { 8, 0 } }, "got 0, allowed: an integer from 1")
end

-- Two pixels of grey in 16 bits: 258, 65535; and in 8: 0, 51.
local grey_16 = "89504e470d0a1a0a0000000d494844520000000200000001100000000081d9fc15000000" ..
  "0d49444154789c636064faff1f00030c02021b01adb70000000049454e44ae426082"
local grey_8 = "89504e470d0a1a0a0000000d4948445200000002000000010800000000d1492056000000" ..
  "0b49444154789c6360300600003600343932d3910000000049454e44ae426082"

-- A folder of these files.
local function folder(name, files)
  local root = check.temp .. "/" .. name
  os.execute("mkdir -p " .. root)
  for file, content in pairs(files) do check.file(name .. "/" .. file, content) end
  return root
end

function tests.test_images_of_16_bits()
  local root = folder("wide", { ["a.png"] = unhex(grey_16) })
  local raw = data.images(root, { scale = false }):tensors()
  check.equal(raw:totable(), { { { { 258, 65535 } } } })
  check.near(data.images(root):tensors(), { 258 / 65535, 1 })
end

-- Whichever comes first, 8 and 16 bits are comparable when scaled, and refused when not.
function tests.test_images_of_8_and_16_bits()
  for _, names in ipairs { { "a.png", "b.png" }, { "b.png", "a.png" } } do
    local root = folder("mixed", { [names[1]] = unhex(grey_8), [names[2]] = unhex(grey_16) })
    local x = data.images(root):tensors()
    local of_8 = names[1] == "a.png" and 1 or 2
    check.near(x[of_8], { 0, 0.2 })
    check.near(x[3 - of_8], { 258 / 65535, 1 })
    check.fails(function() data.images(root, { scale = false }):tensors() end, "mixed/b.png: has",
      "mixed/a.png has", "scale = true")
  end
  local root = folder("mixed", { ["c.png"] = unhex(grey_8) })
  check.equal(data.images(root):tensors().shape, { 3, 1, 1, 2 })
end

function tests.test_what_leads_nowhere_is_refused()
  local root = folder("links", { ["a.png"] = unhex(grey_8) })
  os.execute("ln -s a.png " .. root .. "/b.png")
  check.equal(#data.images(root), 2)
  os.execute("ln -s nowhere " .. root .. "/c.png")
  check.fails(function() return #data.images(root) end, "links/c.png: cannot be read",
    "leads nowhere")
  os.execute("rm " .. root .. "/c.png; mkfifo " .. root .. "/d.png")
  check.fails(function() return #data.images(root) end, "links/d.png: is no file")
end

local function said(root)
  return check.runner { "-e", ("print(#data.images '%s')"):format(root) }
end

function tests.test_other_types_are_counted_and_said_once()
  local root = folder("others", {})
  os.execute("mkdir -p " .. root .. "/x " .. root .. "/y")
  for _, file in ipairs { "x/1.gif", "x/2.GIF", "y/3.webp", "y/notes.txt", ".hidden.bmp" } do
    check.file("others/" .. file, "any")
  end
  check.file("others/x/a.png", unhex(grey_8))
  check.fails(function() return #data.images(root) end, "others/y: holds no pictures",
    ".png .jpg .jpeg", "not read: .webp 1")
  check.file("others/y/b.png", unhex(grey_8))
  local out, err = said(root)
  check.equal(out, "2\n")
  check.equal(select(2, err:gsub("left out", "")), 1)
  check.yes(err:find("3 pictures are left out (.gif 2, .webp 1)", 1, true) ~= nil, err)
  check.fails(function() return #data.images(root .. "/x/none") end, "cannot be read")
  local gifs = folder("gifs", { ["a.gif"] = "any" })
  check.fails(function() return #data.images(gifs) end, "gifs: holds neither", ".gif 1")
end

-- A JPEG of 8 x 8 grey pixels, 128 each.
local jpeg = "ffd8ffe000104a46494600010100000100010000ffdb004300030202030202030303030403030405" ..
  "0805050404050a070706080c0a0c0c0b0a0b0b0d0e12100d0e110e0b0b1016101113141515150c0f" ..
  "171816141812141514ffc0000b080008000801011100ffc4001f0000010501010101010100000000" ..
  "000000000102030405060708090a0bffc400b5100002010303020403050504040000017d01020300" ..
  "041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a" ..
  "25262728292a3435363738393a434445464748494a535455565758595a636465666768696a737475" ..
  "767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9ba" ..
  "c2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9faffda" ..
  "0008010100003f002bffd9"

function tests.test_a_warning_is_said_once_and_counted()
  local odd = unhex(jpeg):sub(1, -3) .. ("junk"):rep(9) .. unhex "ffd9"
  local root = folder("warned", { ["a.jpg"] = unhex(jpeg), ["b.jpg"] = odd, ["c.jpg"] = odd })
  local out, err = said(root)
  check.equal(out, "3\n")
  check.yes(err:find("2 of 3 pictures are read with a warning; the first: " .. root .. "/b.jpg: ",
    1, true) ~= nil, err)
  check.fails(function()
    return #data.images(folder("cut", { ["a.jpg"] = unhex(jpeg):sub(1, -3) }))
  end, "cut/a.jpg: truncated")
end

check.run(tests)
