"""Guards around Faust and aiokafka, so that correctness does not rest on their acknowledgements or assignment."""
