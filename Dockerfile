# The program and what it needs, nothing of the checkout; docs/how-to/containers.md says how to run it.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
RUN pip install --no-cache-dir build==1.6.1
COPY . .
RUN python -m build --wheel --outdir /wheel

FROM python:3.13-slim-trixie
COPY constraints.txt /wheel/constraints.txt
COPY --from=build /wheel /wheel
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN wheel=$(ls /wheel/*.whl) && pip install --no-cache-dir -c /wheel/constraints.txt "${wheel}[sandbox,heic,export,cluster]" && rm -r /wheel
# Any user may run it: the folder that is mounted here says who.
RUN mkdir -m 1777 /work
WORKDIR /work
ENV HOME=/work
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["pipeline"]
CMD ["--help"]
