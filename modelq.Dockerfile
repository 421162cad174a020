# The model queue: hands the chain's commitments to the validation API.
#   docker build -f modelq.Dockerfile -t modelq-image .
#   docker run -d --name modelq-container modelq-image
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

COPY pyproject.toml constraints.txt /tmp/build/
RUN python3 -m venv /opt/venv \
 && cd /tmp/build \
 && python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print('\n'.join(p['dependencies']))" > requirements.txt \
 && pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt \
 && rm -r /tmp/build \
 && useradd --uid 10003 --create-home modelq \
 && install -d -o modelq -g modelq /app/var

COPY scoring scoring
COPY utilities utilities
COPY neurons neurons
# The brackets make it optional: a pattern may match nothing beside a name that is there.
COPY --chown=modelq:modelq pyproject.toml .en[v] ./

USER modelq
# What it has already handed on.
VOLUME /app/var
ENTRYPOINT ["python", "neurons/model_queue.py"]
