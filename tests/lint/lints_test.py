#!/usr/bin/env python3
"""The lints of this folder that are Python find what they are for, and nothing in what is right."""

import sys
import unittest

sys.dont_write_bytecode = True
import bounds  # noqa: E402
import dialect  # noqa: E402
import includes  # noqa: E402


def dialect_finds(text, name="runtime/base/example.cpp"):
    return [what for _, what in dialect.findings(name, text)]


class DialectTest(unittest.TestCase):
    def test_braces(self):
        right = ("if (a) return;\n", "if (a) {\n  b();\n  c();\n}\n", "if (a) {\n  b();\n} else if (c) {\n  d();\n}\n",
                 "for (;;) {\n  if (a) b();\n}\n", "do {\n  a();\n} while (b);\n", "if (a) {\n  b();  // since c\n}\n",
                 "if (a) b([](int c) { return c; });\n", f"if (a) {{\n  {'b' * 110}();\n}}\n", "// if (a)\n",
                 "#define A if (a)\n", 'a("if (b)\\n");\n', "if constexpr (a) return 1'000;\n",
                 "if (a) {\n  EXPECT_TRUE(b);\n}\n", "for (;;) EXPECT_TRUE(b);\n")
        for text in right:
            self.assertEqual(dialect_finds(text), [], text)
            self.assertEqual(dialect.mended(text), text)
        fits, needs = ["fits on one line without braces"], ["needs braces"]
        wrong = (("if (a) {\n  return;\n}\n", fits, "if (a) return;\n"),
                 ("for (int a : b(c)) {\n  d({e});\n}\n", fits, "for (int a : b(c)) d({e});\n"),
                 ("if (a)\n  return;\n", needs, "if (a) return;\n"),
                 (f"if (a)\n  {'b' * 110}();\n", needs, f"if (a) {{\n  {'b' * 110}();\n}}\n"),
                 ("if (a)\n  b();  // since c\n", needs, "if (a) {\n  b();  // since c\n}\n"),
                 ("while (a)\n  for (;;) {\n    b();\n    c();\n  }\n", needs,
                  "while (a) {\n  for (;;) {\n    b();\n    c();\n  }\n}\n"),
                 ("if (a) {\n  b();\n} else\n  c();\n", needs, "if (a) {\n  b();\n} else {\n  c();\n}\n"))
        for text, found, mended in wrong:
            self.assertEqual(dialect_finds(text), found, text)
            self.assertEqual("".join(dialect.mended(text).split()), "".join(mended.split()))

    def test_names_of_tests(self):
        for text in ("TEST(Fifo, KeepsItsOrder) {}\n", "TEST_P(Fifo, A) {}\n", "TEST(FifoDeathTest, Dies) {}\n",
                     "RC_GTEST_PROP(Fifo, KeepsAll, ()) {}\n"):
            self.assertEqual(dialect_finds(text), [], text)
        for text in ("TEST(FifoTest, KeepsItsOrder) {}\n", "TEST_F(Fifo, keeps_its_order) {}\n",
                     "TEST(Fifo_Of_Two, KeepsItsOrder) {}\n", "TEST_P(\n    Fifo, Keeps_Order) {}\n"):
            self.assertEqual(len(dialect_finds(text)), 1, text)

    def test_namespaces(self):
        for name, namespace in (("kernels/a.h", "tardigrad"), ("data/a.h", "tardigrad::data"),
                                ("models/cuda/a.h", "tardigrad::models::cuda"), ("tests/data/a.cpp", "tardigrad::data"),
                                ("tests/kernels/a.h", "tardigrad::testing")):
            self.assertEqual(dialect_finds(f"namespace {namespace} {{\n}}\n", name), [], name)
        for name, namespace in (("kernels/a.h", "tardigrad::kernels"), ("data/a.h", "tardigrad"),
                                ("tests/kernels/a.cpp", "tardigrad::test::a_test"),
                                ("tests/models/a.cpp", "tardigrad::testing")):
            self.assertEqual(len(dialect_finds(f"namespace {namespace} {{\n}}\n", name)), 1, name)

    def test_words(self):
        right = "template <typename T, int n>\nclass A : B<0x1f> {};\nint a = 0x1FU + 1'000UL + f(0.5F, 0x1p-3F, 2.5, 1s);\n"
        self.assertEqual(dialect_finds(right), [])
        wrong = right.replace("typename", "class").replace("FU", "Fu").replace("UL", "ul").replace("5F", "5f").replace("3F", "3f")
        self.assertEqual(len(dialect_finds(wrong)), 5)
        self.assertEqual(dialect.mended(wrong), right)

    def test_words_that_are_not_used(self):
        self.assertEqual(dialect_finds("static_assert(a);\n  static int b = 0;\n"), [])
        for text in ("[[nodiscard]] int a();\n", "typedef int A;\n", "static int a() { return 1; }\n"):
            self.assertEqual(len(dialect_finds(text)), 1, text)


class BoundsTest(unittest.TestCase):
    def test_lines_of_a_file(self):
        self.assertEqual(list(bounds.findings({"data/a.py": "\n" * 400})), [])
        self.assertEqual(len(list(bounds.findings({"data/a.py": "\n" * 401}))), 1)

    def test_sources_of_a_folder(self):
        folder = {f"data/{i}.cpp": "" for i in range(25)}
        self.assertEqual(list(bounds.findings(folder)), [])
        self.assertEqual(list(bounds.findings({**folder, "data/more.h": ""})), ["data/ has 26 sources, over 25"])
        self.assertEqual(list(bounds.findings({f"kernels/{i}.cpp": "" for i in range(26)})), [])

    def test_private_functions_of_a_class(self):
        text = """class A : public B<int (*)()> {
  void a();
 public:
  A() : a_{1}, b_(2) {}
 private:
  template <class T>
  T b(T c = d()) const { return f([] { return 1; }); }
  [[noreturn]] void e();
  std::function<void(int)> f_ = g(1);
  using H = int();
  struct I {
    int j() const;
  };
};
struct K {
  void l();
};
"""
        self.assertEqual([(name, count) for _, name, count in bounds.private_functions(text)],
                         [("A", 3), ("I", 0), ("K", 0)])
        functions = "".join(f"  void f{i}();\n" for i in range(21))
        self.assertEqual(list(bounds.findings({"data/a.h": f"\nclass A {{\n{functions}}};\n"})),
                         ["data/a.h:2: A has 21 private functions, over 20"])


class IncludesTest(unittest.TestCase):
    def test_what_a_library_does_not_link(self):
        allowed = includes.allowed_rooms()
        self.assertEqual(allowed["runtime/methods"], {"kernels", "runtime/base"})
        self.assertEqual(list(includes.wrong_includes(allowed)), [])
        wrong = list(includes.wrong_includes({**allowed, "data": set()}))
        self.assertTrue(wrong)
        self.assertTrue(all(line.startswith("data/") for line in wrong), wrong)

    def test_circles(self):
        self.assertEqual(list(includes.circles({"a": {"b"}, "b": {"c"}})), [])
        self.assertEqual(len(list(includes.circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}))), 3)


if __name__ == "__main__":
    unittest.main()
