#include "tests/cuda_emulation/capture.h"

using namespace tardigrad::emulation;

cudaError_t cudaGraphDestroy(cudaGraph_t handle) {
  return api([&] {
    Graph& graph = object_of<Graph>(handle);
    graph.destroy();
    graph.nodes.clear();
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t handle, cudaGraphNode_t* nodes, std::size_t* count) {
  return api([&] {
    require(nodes == nullptr, cudaErrorNotSupported);
    *count = object_of<Graph>(handle).nodes.size();
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* created, cudaGraph_t handle, unsigned long long flags) {
  return api([&] {
    require(flags == 0 || flags == cudaGraphInstantiateFlagUseNodePriority, cudaErrorNotSupported);
    const Graph& graph = object_of<Graph>(handle);
    current_device().check();
    auto* executable = GraphExec::make();
    executable->nodes = std::make_shared<const std::vector<Node>>(graph.nodes);
    *created = reinterpret_cast<cudaGraphExec_t>(executable);
  });
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* created, cudaGraph_t graph,
                                          unsigned long long flags) {
  return cudaGraphInstantiate(created, graph, flags);
}

/// CUDA updates where the graphs have the same shape.
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t handle, cudaGraph_t from,
                                cudaGraphExecUpdateResultInfo* result) {
  return api([&] {
    GraphExec& executable = object_of<GraphExec>(handle);
    const Graph& graph = object_of<Graph>(from);
    const std::lock_guard lock(executable.mutex);
    const auto& nodes = *executable.nodes;
    const bool alike = std::equal(
        nodes.begin(), nodes.end(), graph.nodes.begin(), graph.nodes.end(), [](const Node& a, const Node& b) {
          return a.work.kind == b.work.kind && a.work.device == b.work.device && a.after == b.after;
        });
    *result = {};
    result->result = alike ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
    require(alike, cudaErrorGraphExecUpdateFailure);
    executable.nodes = std::make_shared<const std::vector<Node>>(graph.nodes);
  });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t handle, cudaStream_t stream) {
  return api([&] {
    object_of<GraphExec>(handle);
    stream_of(stream).device.check();
  });
}

/// The nodes run on the thread of the stream, in the order of their capture. Launches of one graph follow
/// each other, whatever their streams.
cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t on) {
  return api([&] {
    GraphExec& executable = object_of<GraphExec>(handle);
    StreamState& stream = stream_of(on);
    stream.device.check();
    if (const auto capture = stream.active_capture()) {
      capture->invalidate();
      throw Failure{cudaErrorNotSupported};  // would be a child graph
    }
    const auto over = std::make_shared<Completion>();
    const std::lock_guard lock(executable.mutex);
    stream.push(
        {Kind::order, &stream.device, [nodes = executable.nodes, previous = executable.previous, over] {
           if (previous) previous->wait();
           for (const Node& node : *nodes) node.work.execute();
           over->reach();
         }});
    executable.previous = over;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t handle) {
  return api([&] {
    GraphExec& executable = object_of<GraphExec>(handle);
    executable.destroy();
    const std::lock_guard lock(executable.mutex);
    executable.nodes = nullptr;
    executable.previous = nullptr;
  });
}
