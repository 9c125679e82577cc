"""Graphs as other programs keep them (GraphML, GEXF, GML): nodes are firms, edges lead from supplier to buyer.

Attributes of nodes and edges are the columns of firms and links; an edge's amount may be its `weight`.
"""

from xml.etree.ElementTree import ParseError

import networkx as nx
import pandas as pd
from shockmesh.io.inputs.files import File
from shockmesh.io.inputs.rows.sheets import SheetError

GRAPHS = (".graphml", ".gexf", ".gml")


def read_graph(file: File) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The edges and the nodes of a graph.

    Raises:
        SheetError: it cannot be read, has no edges, or its edges have no direction.
    """
    read = {".graphml": nx.read_graphml, ".gexf": nx.read_gexf, ".gml": nx.read_gml}[file.suffix]
    data = file.read()
    try:
        graph = read(data)
    except (nx.NetworkXError, ParseError, ValueError) as error:
        raise SheetError(f"{file}: cannot be read as a graph: {str(error).strip()}") from error
    if not graph.is_directed():
        raise SheetError(f"{file}: its edges have no direction; they must lead from supplier to buyer")
    if not graph.number_of_edges():
        raise SheetError(f"{file}: edges: 0: must be at least one")
    edges = [{"supplier": str(u), "buyer": str(v), **of} for u, v, of in graph.edges(data=True)]
    nodes = [{"firm": str(node), **of} for node, of in graph.nodes(data=True)]
    return pd.DataFrame(edges), pd.DataFrame(nodes)
