# Installs the build, compiles the consumer against nothing but the installed files, and runs both programs.
function(must_run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${SCRATCH}")
set(prefix "${SCRATCH}/prefix")
must_run("${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${prefix}")
must_run("${prefix}/bin/troupe" version)
must_run("${CMAKE_COMMAND}" -S "${CONSUMER}" -B "${SCRATCH}/build" "-DCMAKE_PREFIX_PATH=${prefix}" "-DCMAKE_CXX_COMPILER=${CXX}")
must_run("${CMAKE_COMMAND}" --build "${SCRATCH}/build")
must_run("${SCRATCH}/build/consumer")
