# Writes SOURCE, which defines what assets.h declares, from FILES: "name=path" of each, or "name=path,path…" for several
# in a row. A name without a path is empty.
# Usage: cmake -DSOURCE=assets.cpp "-DFILES=page_css=page.css|chart_js=" -P embed.cmake
set(text "// Written by embed.cmake.\n#include \"tools/report/assets.h\"\n\nnamespace tardigrad::assets {\n")
string(REPLACE "|" ";" FILES "${FILES}")
foreach(file IN LISTS FILES)
  string(REGEX MATCH "^([a-z_]+)=(.*)$" matched "${file}")
  set(name ${CMAKE_MATCH_1})
  string(REPLACE "," ";" paths "${CMAKE_MATCH_2}")
  string(APPEND text "const std::string_view ${name} = R\"ASSET(")
  foreach(path IN LISTS paths)
    file(READ "${path}" content)
    string(APPEND text "${content}")
  endforeach()
  string(APPEND text ")ASSET\";\n")
endforeach()
string(APPEND text "}  // namespace tardigrad::assets\n")
file(WRITE "${SOURCE}" "${text}")
