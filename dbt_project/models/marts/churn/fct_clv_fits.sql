-- The parameters of each lifetime-value fit, one per as-of date.
with expectations as (

    select * from {{ ref('int_clv_expectations') }}

)

select
    as_of_date,
    {%- for name in [
        'bgnbd_r', 'bgnbd_alpha', 'bgnbd_a', 'bgnbd_b', 'bgnbd_log_likelihood', 'gamma_p', 'gamma_q', 'gamma_v',
        'gamma_log_likelihood'
    ] %}
    cast(round(max({{ name }}), 6) as decimal(24, 6)) as {{ name }},
    {%- endfor %}
    max(fitted_customers) as fitted_customers
from expectations
group by as_of_date
