# The program with its extras. Data is in /data: docker run -v counterfoil:/data -p 8321:8321 -e COUNTERFOIL_PASSWORD=… IMAGE
FROM python:3.12-slim
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE /src/
COPY src /src/src
RUN pip install --no-cache-dir -c /src/constraints.txt "/src[alerts]" \
    && rm -rf /src \
    && useradd --uid 1000 --create-home counterfoil \
    && install -d -o counterfoil -g counterfoil -m 700 /data
USER counterfoil
ENV COUNTERFOIL_HOME=/data COUNTERFOIL_HOST=0.0.0.0 COUNTERFOIL_LOG=json
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=30s --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/health', timeout=5)"]
ENTRYPOINT ["counterfoil"]
CMD ["serve"]
