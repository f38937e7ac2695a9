enum EnvoyAPIRoom {}
