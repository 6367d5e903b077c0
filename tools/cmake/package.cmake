# `cmake --install` and `cpack -G DEB`: the program, its manual pages, and the Python package where there is one.
include(GNUInstallDirs)
install(TARGETS tardigrad RUNTIME COMPONENT program)
install(FILES LICENSE README.md CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
find_package(Python COMPONENTS Interpreter QUIET)
if(Python_FOUND)
  # Made when they are installed, of what the program says of itself.
  set(pages ${PROJECT_BINARY_DIR}/man)
  install(CODE "execute_process(COMMAND ${Python_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/cli/man_pages.py
                                $<TARGET_FILE:tardigrad> ${PROJECT_VERSION} ${pages} COMMAND_ERROR_IS_FATAL ANY)"
          COMPONENT program)
  install(DIRECTORY ${pages}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT program)
endif()

set(CPACK_PACKAGE_CONTACT "the developers of tardigrad <tardigrad@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)  # what it is linked with, by dpkg-shlibdeps
set(CPACK_DEBIAN_PACKAGE_DEPENDS "python3-numpy")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3-matplotlib, python3-pandas, python3-torch")
include(CPack)
