# The program and the Python package with CUDA: docker build -t tardigrad . && docker run --gpus all tardigrad devices
FROM nvidia/cuda:12.8.1-cudnn-devel-ubuntu24.04 AS build
ARG DEBIAN_FRONTEND=noninteractive
ARG ARCHITECTURES="75;80;90;100;120"
COPY . /tardigrad
WORKDIR /tardigrad
RUN apt-get update && apt-get install -y --no-install-recommends libnccl-dev && tools/dependencies.sh build python
RUN tools/build.sh build "tardigrad tardigrad_python" -DTARDIGRAD_CUDA=ON -DTARDIGRAD_NATIVE=OFF -DTARDIGRAD_TESTS=OFF \
      -DTARDIGRAD_BENCHMARKS=OFF -DTARDIGRAD_PYTHON=ON -DCMAKE_INSTALL_PREFIX=/usr "-DCMAKE_CUDA_ARCHITECTURES=$ARCHITECTURES" \
    && DESTDIR=/installed cmake --install build --strip

FROM nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --no-install-recommends libnccl2 python3-numpy python3-matplotlib libfmt9 libxxhash0 \
      libpng16-16 libturbojpeg libdnnl3 libtomlplusplus3 libprotobuf-lite32 && rm -rf /var/lib/apt/lists/*
COPY --from=build /installed /
ENTRYPOINT ["tardigrad"]
