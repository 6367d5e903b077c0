# Writes HEADER, which says what commit the sources in SOURCE are of; not anew where it says so already. They may be no
# work tree of git: then they are an archive that git made, which names its commit, or nobody knows.
#   cmake -DSOURCE=FOLDER -DHEADER=FILE [-DGIT=PROGRAM] -P commit.cmake
set(commit "")
set(changed false)
if(GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --show-toplevel HEAD OUTPUT_VARIABLE answer
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  # The sources may lie in the work tree of something else.
  get_filename_component(source "${SOURCE}" REALPATH)
  if(NOT failed AND answer MATCHES "^(.*)\n([0-9a-f]+)$" AND CMAKE_MATCH_1 STREQUAL source)
    set(commit ${CMAKE_MATCH_2})
    execute_process(COMMAND ${GIT} -C ${SOURCE} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
    if(changes)
      set(changed true)
    endif()
  endif()
endif()
if(NOT commit)
  file(READ ${CMAKE_CURRENT_LIST_DIR}/archived_commit.txt archived)
  if(archived MATCHES "^([0-9a-f]+)")
    set(commit ${CMAKE_MATCH_1})
  endif()
endif()
set(text "#pragma once

namespace tardigrad {
inline constexpr const char* built_commit = \"${commit}\";  // empty: nobody knows
inline constexpr bool built_of_changed_sources = ${changed};
}  // namespace tardigrad
")
if(EXISTS ${HEADER})
  file(READ ${HEADER} before)
endif()
if(NOT text STREQUAL "${before}")
  file(WRITE ${HEADER} "${text}")
endif()
