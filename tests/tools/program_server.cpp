#include "tests/tools/program_server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <vector>

/// The main of tools/cli, under another name.
int tardigrad_main(int argc, char** argv);

namespace tardigrad::testing {
namespace {

/// This process's end of the pair of sockets that joins it to the server, -1 before there is one.
int connection = -1;

using Strings = std::vector<std::string>;

/// A request is three lists: folder and files, arguments, environment. Each ends with an empty string; none
/// of theirs is.
void append(std::string& request, const Strings& strings) {
  for (const std::string& one : strings) request.append(one).push_back('\0');
  request.push_back('\0');
}

Strings take(std::string_view& request) {
  Strings strings;
  for (;;) {
    const std::string_view one = request.substr(0, request.find('\0'));
    request.remove_prefix(one.size() + 1);
    if (one.empty()) return strings;
    strings.emplace_back(one);
  }
}

std::vector<char*> pointers(Strings& strings) {
  std::vector<char*> all;
  for (std::string& one : strings) all.push_back(one.data());
  all.push_back(nullptr);
  return all;
}

void open_as(int number, const std::string& path, int flags) {
  const int file = open(path.c_str(), flags, 0666);
  if (file < 0 || dup2(file, number) < 0) _exit(127);
  close(file);
}

[[noreturn]] void run_program(std::string_view request) {
  const Strings where = take(request);
  static Strings arguments = take(request);  // for as long as the program may read them
  static Strings environment = take(request);
  if (chdir(where[0].c_str()) != 0) _exit(127);
  open_as(STDIN_FILENO, "/dev/null", O_RDONLY);
  open_as(STDOUT_FILENO, where[1], O_WRONLY | O_CREAT | O_TRUNC);
  open_as(STDERR_FILENO, where[2], O_WRONLY | O_CREAT | O_TRUNC);
  static std::vector<char*> variables = pointers(environment);
  environ = variables.data();
  static std::vector<char*> words = pointers(arguments);
  std::exit(tardigrad_main(static_cast<int>(arguments.size()), words.data()));
}

[[noreturn]] void serve(int client) {
  std::string request(1 << 18, '\0');
  for (;;) {
    const ssize_t size = recv(client, request.data(), request.size(), 0);
    if (size <= 0) _exit(0);  // the tests have ended
    const pid_t program = fork();
    if (program == 0) {
      close(client);
      run_program(std::string_view(request).substr(0, static_cast<std::size_t>(size)));
    }
    int status = 0;
    const bool ended = program >= 0 && waitpid(program, &status, 0) == program;
    if (!ended || send(client, &status, sizeof status, 0) < 0) _exit(1);
  }
}

}  // namespace

void start_program_server() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;  // programs are started, then
  const pid_t server = fork();
  if (server == 0) {
    close(ends[0]);
    serve(ends[1]);
  }
  close(ends[1]);
  connection = ends[0];
}

std::optional<int> serve_program(const std::filesystem::path& folder, const std::string& arguments,
                                 const std::string& out, const std::string& err) {
  if (arguments.find_first_of("*?[~") != std::string::npos) return {};  // of names in that folder
  wordexp_t expanded;
  if (connection < 0 || wordexp(arguments.c_str(), &expanded, WRDE_NOCMD) != 0) return {};
  Strings words{"tardigrad"};
  words.insert(words.end(), expanded.we_wordv, expanded.we_wordv + expanded.we_wordc);
  wordfree(&expanded);
  for (const std::string& word : words) {
    if (word.empty()) return {};
  }
  std::string request;
  append(request, {folder, out, err});
  append(request, words);
  Strings environment;
  for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  append(request, environment);
  int status = 0;
  if (send(connection, request.data(), request.size(), MSG_NOSIGNAL) < 0 ||
      recv(connection, &status, sizeof status, 0) != sizeof status) {
    throw std::runtime_error("the process that runs the program for the tests has gone");
  }
  return status;
}

}  // namespace tardigrad::testing

int main(int argc, char** argv) {
  // A shell that runs the tests in the background, or nohup, has them ignore these, and every program with
  // them.
  for (const int interrupt : {SIGHUP, SIGINT, SIGQUIT}) signal(interrupt, SIG_DFL);
  tardigrad::testing::start_program_server();
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
