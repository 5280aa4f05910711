-- One database a node: they share a server here, and nothing else.
CREATE DATABASE node_310107;
CREATE DATABASE node_340500;
CREATE DATABASE node_341200;
