# Longwave's image: every process of ours is `longwave run NAME` in it.
FROM python:3.11-slim
WORKDIR /app
ENV PYTHONUNBUFFERED=1 VIRTUAL_ENV=/app/.venv PATH=/app/.venv/bin:$PATH LONGWAVE_DATA=/data
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
COPY Makefile pyproject.toml requirements.lock README.md ./
COPY schemas schemas
COPY pipeline pipeline
COPY adapters adapters
COPY agents agents
COPY api api
COPY cli cli
COPY dashboards dashboards
COPY devstack devstack
COPY simulation simulation
COPY loadtest loadtest
# Compiled here, because the user that runs it may not write there: else each process would compile all of it at each start.
RUN make env && python -m compileall -q . && useradd --uid 10001 longwave && mkdir /data && chown longwave /data
USER longwave
VOLUME /data
ENTRYPOINT ["longwave"]
CMD ["doctor"]
