#include <fmt/format.h>
#include <pybind11/operators.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "runtime/base/nearest_name.h"
#include "runtime/coordinator/run_errors.h"
#include "runtime/device/device.h"
#include "runtime/telemetry/run_log_reader.h"
#include "runtime/verify/checks.h"
#include "tools/options/option_table.h"
#include "tools/python/device_vector.h"
#include "tools/python/python_run.h"
#include "tools/report/report.h"
#include "tools/train/version.h"

/// Is the compiled part of the Python package (tools/python/tardigrad).

namespace {

namespace py = pybind11;
using namespace tardigrad;

const char* truth(bool value) { return value ? "True" : "False"; }

std::string table_name(Table table) { return table == Table::main ? "main" : "next"; }

Table table_of(const std::string& name) {
  if (name != "main" && name != "next") throw py::value_error("table '" + name + "', expected main or next");
  return name == "main" ? Table::main : Table::next;
}

JobSpread spread_of(const std::string& name) {
  if (name == "rounds") return JobSpread::rounds;
  if (name == "one_each") return JobSpread::one_each;
  if (name == "anywhere") return JobSpread::anywhere;
  throw py::value_error("jobs '" + name + "', expected rounds, one_each or anywhere");
}

void add_actions(py::module_& module) {
  py::class_<FoldRow>(
      module, "FoldRow",
      "Fold the gradient g into a worker's row: T_i <- T_i + weight (g - T_i); weight 1 replaces it.\n\n"
      "With update_mean the mean moves along, by what the row changed divided by the number of rows that\n"
      "count; without, one AverageRows before a step makes up for any number of folds.")
      .def(py::init([](int worker, float weight, const std::string& table, bool update_mean) {
             return FoldRow{worker, weight, table_of(table), update_mean};
           }),
           py::arg("worker"), py::arg("weight") = 1.0F, py::arg("table") = "main",
           py::arg("update_mean") = true)
      .def_readonly("worker", &FoldRow::worker)
      .def_readonly("weight", &FoldRow::weight)
      .def_property_readonly("table", [](const FoldRow& fold) { return table_name(fold.table); })
      .def_readonly("update_mean", &FoldRow::update_mean)
      .def(py::self == py::self)
      .def("__repr__", [](const FoldRow& fold) {
        return fmt::format("FoldRow({}, weight={:g}, table='{}', update_mean={})", fold.worker, fold.weight,
                           table_name(fold.table), truth(fold.update_mean));
      });
  py::class_<AverageRows>(module, "AverageRows",
                          "Set the mean to that of the main table's rows that count, exactly.")
      .def(py::init<>())
      .def(py::self == py::self)
      .def("__repr__", [](const AverageRows&) { return "AverageRows()"; });
  py::class_<CountRow>(
      module, "CountRow",
      "Let a row of the main table count in the mean from now on, or not. With update_mean the mean moves\n"
      "along, by that row alone; without, an AverageRows before a step sets it anew.")
      .def(py::init<int, bool, bool>(), py::arg("worker"), py::arg("counts") = true,
           py::arg("update_mean") = false)
      .def_readonly("worker", &CountRow::worker)
      .def_readonly("counts", &CountRow::counts)
      .def_readonly("update_mean", &CountRow::update_mean)
      .def(py::self == py::self)
      .def("__repr__", [](const CountRow& action) {
        return fmt::format("CountRow({}, {}{})", action.worker, truth(action.counts),
                           action.update_mean ? ", update_mean=True" : "");
      });
  py::class_<SwapTables>(module, "SwapTables", "Let the main and the next table change places.")
      .def(py::init<>())
      .def(py::self == py::self)
      .def("__repr__", [](const SwapTables&) { return "SwapTables()"; });
  py::class_<Accumulate>(
      module, "Accumulate",
      "Add the gradient g to a sum: u <- u + weight g; with restart, u counts as 0 before.")
      .def(py::init<float, bool>(), py::arg("weight") = 1.0F, py::arg("restart") = false)
      .def_readonly("weight", &Accumulate::weight)
      .def_readonly("restart", &Accumulate::restart)
      .def(py::self == py::self)
      .def("__repr__", [](const Accumulate& action) {
        return fmt::format("Accumulate({:g}, restart={})", action.weight, truth(action.restart));
      });
  py::class_<Correct>(
      module, "Correct",
      "Correct the mean by what the gradient g differs from a worker's row h, and fold g into that row:\n"
      "s <- s + weight (g - h), then as FoldRow(worker). Steps go along s, the corrected mean; with restart\n"
      "it counts as the mean before. With keep the row is kept under that number, for the same worker to be\n"
      "measured against once more, with kept.")
      .def(py::init<int, float, bool, std::optional<int>, std::optional<int>>(), py::arg("worker"),
           py::arg("weight") = 1.0F, py::arg("restart") = false, py::arg("keep") = py::none(),
           py::arg("kept") = py::none())
      .def_readonly("worker", &Correct::worker)
      .def_readonly("weight", &Correct::weight)
      .def_readonly("restart", &Correct::restart)
      .def_readonly("keep", &Correct::keep)
      .def_readonly("kept", &Correct::kept)
      .def(py::self == py::self)
      .def("__repr__", [](const Correct& action) {
        const auto number = [](const std::optional<int>& row) { return row ? fmt::to_string(*row) : "None"; };
        return fmt::format("Correct({}, {:g}, restart={}, keep={}, kept={})", action.worker, action.weight,
                           truth(action.restart), number(action.keep), number(action.kept));
      });
  py::class_<ScaleMean>(module, "ScaleMean", "Scale the mean: u <- factor u.")
      .def(py::init<double>(), py::arg("factor"))
      .def_readonly("factor", &ScaleMean::factor)
      .def(py::self == py::self)
      .def("__repr__", [](const ScaleMean& action) { return fmt::format("ScaleMean({:g})", action.factor); });
  py::class_<Step>(module, "Step",
                   "Make an update: x <- x - lr scale u, or s in the place of u for methods that keep a "
                   "corrected mean, or\n"
                   "g for methods that keep no mean.")
      .def(py::init<double>(), py::arg("scale") = 1.0)
      .def_readonly("scale", &Step::scale)
      .def(py::self == py::self)
      .def("__repr__", [](const Step& action) { return fmt::format("Step({:g})", action.scale); });
  py::class_<HandOver>(module, "HandOver", "Hand the newest model to a worker, for one job.")
      .def(py::init<int>(), py::arg("worker"))
      .def_readonly("worker", &HandOver::worker)
      .def(py::self == py::self)
      .def("__repr__", [](const HandOver& action) { return fmt::format("HandOver({})", action.worker); });
  py::class_<Discard>(module, "Discard", "Throw away the job that a worker is computing: it never arrives.")
      .def(py::init<int>(), py::arg("worker"))
      .def_readonly("worker", &Discard::worker)
      .def(py::self == py::self)
      .def("__repr__", [](const Discard& action) { return fmt::format("Discard({})", action.worker); });
  py::class_<ServerMemory>(module, "Memory",
                           "What a method needs to be kept besides the model.\n\n"
                           "tables: 0, 1 or 2 (main and next), of a row per worker; mean: the mean or sum u; "
                           "jobs: 'rounds' where all in\n"
                           "flight start from one model, 'one_each' for at most one a worker, 'anywhere' for "
                           "n in all, any at one worker;\n"
                           "corrected: the corrected mean s, with a table and the mean; kept_rows: how many "
                           "rows Correct can keep.")
      .def(py::init([](int tables, bool mean, const std::string& jobs, bool corrected, int kept_rows) {
             return ServerMemory{tables, mean, spread_of(jobs), corrected, kept_rows};
           }),
           py::arg("tables") = 0, py::arg("mean") = false, py::arg("jobs") = "one_each",
           py::arg("corrected") = false, py::arg("kept_rows") = 0)
      .def_readonly("tables", &ServerMemory::tables)
      .def_readonly("mean", &ServerMemory::mean)
      .def_readonly("corrected", &ServerMemory::corrected)
      .def_readonly("kept_rows", &ServerMemory::kept_rows);
  py::class_<Arrival>(
      module, "Arrival",
      "A gradient that has arrived: its worker, the version of the model that it was computed at, its\n"
      "staleness in updates, and the time that its job took on the run's clock.")
      .def_readonly("worker", &Arrival::worker)
      .def_readonly("version", &Arrival::version)
      .def_readonly("staleness", &Arrival::staleness)
      .def_readonly("compute_time", &Arrival::compute_time);
}

/// A dict for each option of `train`.
py::list options() {
  py::list all;
  for (const OptionRow& row : option_table()) {
    py::dict option;
    option["name"] = row.name;
    option["help"] = row.help;
    option["values"] = row.values;
    option["is_switch"] = row.is_on != nullptr;
    option["required"] = row.required;
    all.append(option);
  }
  return all;
}

void add_errors(py::module_& module) {
  static py::exception<std::invalid_argument> usage(module, "UsageError", PyExc_ValueError);
  static py::exception<DeviceError> device(module, "DeviceError", PyExc_RuntimeError);
  static py::exception<WorkersLostError> workers_lost(module, "WorkersLostError", PyExc_RuntimeError);
  static py::exception<NotFiniteError> not_finite(module, "NotFiniteError", PyExc_ArithmeticError);
  static py::exception<VerificationError> verification(module, "VerificationError", PyExc_RuntimeError);
  usage.attr("__doc__") =
      "An option, or a file, that is not as it should be; the text is that of the command line.";
  device.attr("__doc__") = "A device has failed.";
  workers_lost.attr("__doc__") = "No worker is left, or none can be waited for.";
  not_finite.attr("__doc__") = "A loss is not finite any more.";
  verification.attr("__doc__") = "A method did what it should not (verify=True).";
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const StoppedEarlyError& stopped) {
      PyErr_SetString(PyExc_KeyboardInterrupt, stopped.what());
    } catch (const VerificationError& failed) {
      verification(failed.what());
    } catch (const NotFiniteError& failed) {
      not_finite(failed.what());
    } catch (const WorkersLostError& failed) {
      workers_lost(failed.what());
    } catch (const DeviceError& failed) {
      device(failed.what());
    } catch (const CLI::ParseError& failed) {
      usage(failed.what());
    } catch (const std::invalid_argument& failed) {
      usage(failed.what());
    }
  });
}

}  // namespace

PYBIND11_MODULE(_engine, module) {
  module.doc() = "The compiled part of tardigrad.";
  add_errors(module);
  add_actions(module);
  add_device_vector(module);
  module.attr("version") = program_version;
  module.def("options", &options);
  module.def("method_names", &method_names);
  module.def("nearest_name", [](const std::string& name, const std::vector<std::string>& known) {
    return nearest_name(name, known);
  });
  module.def(
      "train",
      [](const std::vector<std::string>& words, py::object objective, py::object method, bool lose_on_error,
         bool log_is_new, const std::string& command_line) {
        const RunParts parts{std::move(objective), std::move(method),
                             lose_on_error ? OnError::lose : OnError::raise, log_is_new};
        return run_train(words, parts, command_line);
      },
      py::kw_only(), py::arg("words"), py::arg("objective"), py::arg("method"), py::arg("lose_on_error"),
      py::arg("log_is_new"), py::arg("command_line"));
  module.def("compare", &run_compare, py::arg("words"), py::arg("prints"));
  py::module_::import("atexit").attr("register")(py::cpp_function(&end_runs));
  module.def("log_files", [](const std::string& log) { return RunLogReader(log).files(); });
  module.def("report", [](const std::vector<std::string>& logs, const std::string& page) {
    const py::gil_scoped_release free;
    write_report(logs, page);
  });
}
